#include "sim/volume_record.h"

#include <vector>

#include "api/quantity.h"
#include "base/text.h"
#include "sim/record.h"

namespace skiff::sim {
namespace {

constexpr std::string_view volume_prefix = "/registry/persistentvolumes/";
constexpr std::string_view claim_prefix = "/registry/persistentvolumeclaims/";

struct VolumeState {
    std::string key, phase, holder, reserved;   // reserved: the claim's namespace/name
    int64_t size = 0;
    bool ending = false;
};
struct ClaimState {
    std::string key, name, uid, phase, volume;
    int64_t size = 0;
};

std::string holder_of(const codec::Json& volume) {
    return std::string{volume.text_at({"spec", "claimRef", "uid"})};
}

int64_t bytes_of(std::string_view text) {
    const auto amount = api::Quantity::parse(text.empty() ? "0" : text);
    return amount ? amount->value() : 0;
}

VolumeState volume_state(const std::string& key, const codec::Json& object) {
    VolumeState volume{.key = key,
                       .phase = std::string{object.text_at({"status", "phase"})},
                       .holder = holder_of(object),
                       .reserved = {},
                       .size = bytes_of(object.text_at({"spec", "capacity", "storage"})),
                       .ending = !object.text_at({"metadata", "deletionTimestamp"}).empty()};
    if (const auto name = object.text_at({"spec", "claimRef", "name"}); !name.empty())
        volume.reserved = concat(object.text_at({"spec", "claimRef", "namespace"}), "/", name);
    return volume;
}

ClaimState claim_state(const std::string& key, const codec::Json& object) {
    return {.key = key,
            .name = key.substr(claim_prefix.size()),
            .uid = std::string{object.text_at({"metadata", "uid"})},
            .phase = std::string{object.text_at({"status", "phase"})},
            .volume = std::string{object.text_at({"spec", "volumeName"})},
            .size = bytes_of(object.text_at({"spec", "resources", "requests", "storage"}))};
}

std::string claim_not_settled(const ClaimState& claim,
                              const std::map<std::string, VolumeState>& volumes) {
    const auto wish = concat(volume_prefix, claim.volume);
    const auto named = volumes.find(wish);
    const bool has = named != volumes.end() && named->second.holder == claim.uid;
    if (claim.phase == "Lost")
        return has ? concat(claim.key, " is Lost, but ", wish, " is its own") : "";
    if (claim.phase == "Bound")
        return has ? "" : concat(claim.key, " is Bound, but '", claim.volume, "' is not its own");
    if (claim.phase != "Pending") return concat(claim.key, " is '", claim.phase, "'");
    for (const auto& [key, volume] : volumes) {
        const bool wanted = claim.volume.empty() || key == wish;
        const bool free = volume.holder.empty() && !volume.ending &&
                          (volume.reserved.empty() || volume.reserved == claim.name);
        if (wanted && free && volume.size >= claim.size)
            return concat(claim.key, " is Pending, but ", key, " is free and fits");
    }
    return {};
}

std::string volume_not_settled(const VolumeState& volume,
                               const std::map<std::string, ClaimState>& claims) {
    const auto holder = claims.find(volume.holder);
    const std::string_view phase = volume.phase;
    if (volume.holder.empty())
        return phase == "Available" ? "" : concat(volume.key, " is free, but '", phase, "'");
    if (holder == claims.end())
        return phase == "Released" ? "" : concat(volume.key, " lost its claim, but is ", phase);
    const bool mutual =
        concat(volume_prefix, holder->second.volume) == volume.key && phase == "Bound";
    return mutual ? "" : concat(volume.key, " is ", phase, " for ", holder->second.key);
}

}   // namespace

bool is_held_volume(std::string_view key, const codec::Json& object) {
    return key.starts_with(volume_prefix) && object.text_at({"status", "phase"}) == "Bound";
}

std::string volumes_not_settled(const std::map<std::string, Stored>& state) {
    std::map<std::string, VolumeState> volumes;   // by key
    std::map<std::string, ClaimState> claims;     // by uid
    for (const auto& [key, stored] : state) {
        const bool is_volume = key.starts_with(volume_prefix);
        if (stored.text.empty() || !(is_volume || key.starts_with(claim_prefix))) continue;
        const auto document = codec::parse_json(stored.text);
        if (!document) return key;
        if (is_volume) {
            volumes.emplace(key, volume_state(key, document->root));
        } else {
            auto claim = claim_state(key, document->root);
            auto uid = claim.uid;
            claims.emplace(std::move(uid), std::move(claim));
        }
    }
    for (const auto& [uid, claim] : claims)
        if (auto what = claim_not_settled(claim, volumes); !what.empty()) return what;
    for (const auto& [key, volume] : volumes)
        if (auto what = volume_not_settled(volume, claims); !what.empty()) return what;
    return {};
}

std::optional<std::string> VolumeRecord::take(std::string_view prefix, const std::string& key,
                                              const codec::Json* object) {
    if (prefix == volume_prefix) return take_volume(key, object);
    return prefix == claim_prefix ? take_claim(key, object) : std::nullopt;
}

// A volume is let go only by a claim that has gone, or has gone elsewhere.
std::optional<std::string> VolumeRecord::take_volume(const std::string& key,
                                                     const codec::Json* object) {
    auto& holder = holders_[key];
    const auto before = std::exchange(holder, object ? holder_of(*object) : std::string{});
    if (!holder.empty()) set_aside_.emplace(key, holder);
    if (!object || before.empty() || before == holder) return {};
    if (!holder.empty()) return concat(key, " went from one claim to another: ", before);
    const auto claim = claims_.find(before);
    if (claim != claims_.end() && concat(volume_prefix, claim->second.volume) == key)
        return concat(key, " was let go, but ", claim->second.key, " has it");
    return {};
}

// A claim is bound only after the volume says so; the volume may have been deleted meanwhile.
std::optional<std::string> VolumeRecord::take_claim(const std::string& key,
                                                    const codec::Json* object) {
    if (!object) {
        claims_.erase(uids_[key]);
        return {};
    }
    const std::string uid{object->text_at({"metadata", "uid"})};
    uids_[key] = uid;
    auto& claim = claims_[uid];
    const bool was = claim.bound;
    claim = {.key = key,
             .volume = std::string{object->text_at({"spec", "volumeName"})},
             .bound = object->text_at({"status", "phase"}) == "Bound"};
    if (!claim.bound || was) return {};
    ++bindings_;
    const auto volume = concat(volume_prefix, claim.volume);
    if (!set_aside_.contains({volume, uid}))
        return concat(key, " was bound to ", volume, ", which was never set aside for it");
    const auto holder = holders_.find(volume)->second;
    const auto other = claims_.find(holder);
    if (holder != uid && other != claims_.end() && other->second.bound)
        return concat(key, " and ", other->second.key, " both got ", volume);
    return {};
}

}   // namespace skiff::sim
