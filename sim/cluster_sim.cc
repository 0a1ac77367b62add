// The whole control plane in one world: safety while faults last, arrival after they stop.
#include <gtest/gtest.h>

#include "api/quantity.h"
#include "base/text.h"
#include "codec/json.h"
#include "sim/hollow_agent.h"
#include "sim/seeds.h"
#include "sim/users.h"

namespace skiff::sim {
namespace {

constexpr uint64_t steps_max = 2'000'000;
constexpr int nodes = 3;
constexpr auto storm = std::chrono::seconds{40};
constexpr auto arrival = std::chrono::minutes{30};

struct Outcome {
    uint64_t trace = 0;
    uint64_t steps = 0;
    size_t writes = 0;
    size_t bindings = 0;
    int crashes = 0;
    Duration arrived{};
    std::vector<std::string> broken;
    std::string missing;
};

// What is left of a node by what is truly stored.
struct Room {
    int64_t cpu = 0;
    int64_t pods = 0;
};

class Story {
  public:
    Story(World& world, Disk::Kind disk, Topic topic)
        : world_{world}, cluster_{world, disk}, users_{cluster_, nodes, topic}, topic_{topic} {}

    void tell(Outcome& outcome) {
        weather();
        cluster_.start();
        for (int i = 0; i < nodes; ++i)
            agents_[i] = std::make_unique<HollowAgent>(cluster_, users_.node(i),
                                                       1000 + static_cast<int>(world_.below(3000)),
                                                       3 + static_cast<int>(world_.below(8)));
        const bool race = topic_ == Topic::Claims;
        users_.begin(static_cast<int>((race ? 80 : 20) + world_.below(40)), race ? 150ms : 1500ms);
        const auto end = world_.now() + (race ? storm / 4 : storm);
        while (world_.now() < end || !users_.done()) step(outcome);
        clear_up(outcome);
        outcome.broken = cluster_.record().broken_promises();
        outcome.writes = cluster_.record().writes();
        outcome.bindings = cluster_.record().bindings();
        for (auto& agent : agents_) agent.second.reset();
    }

  private:
    void weather() {
        const auto some = [&](double most) {
            return world_.chance(0.3) ? 0 : most * static_cast<double>(world_.below(1000)) / 1000;
        };
        cluster_.faults = {.lost_request = some(0.2),
                           .lost_answer = some(0.2),
                           .slow = some(0.2),
                           .slow_watch = some(0.2),
                           .dropped_watch = some(0.1),
                           .expired_watch = some(0.3)};
        crashes_ = world_.chance(0.7);
    }

    void step(Outcome& outcome) {
        if (crashes_ && !planned_) {
            cluster_.disk().die_at_write(1 + world_.below(60));
            planned_ = true;
        }
        cluster_.wait_for_death(world_.now() + world_.between(100ms, 2s));
        if (world_.chance(0.05)) {   // an agent's turn
            const int which = static_cast<int>(world_.below(nodes));
            agents_[which].reset();
            agents_[which] = std::make_unique<HollowAgent>(cluster_, users_.node(which), 2000, 5);
        }
        if (!cluster_.dead()) return;
        restart(outcome);
    }

    void restart(Outcome& outcome) {
        ++outcome.crashes;
        cluster_.crash();
        if (world_.chance(0.3)) world_.sleep(world_.between(0ms, 3s));
        cluster_.start();
        planned_ = false;
    }

    void clear_up(Outcome& outcome) {
        cluster_.disk().die_at_write(0);
        if (cluster_.dead()) restart(outcome);
        if (crashes_ && world_.chance(0.5)) {   // what is on the disk is what was promised
            cluster_.crash();
            cluster_.start();
        }
        cluster_.faults = {};
        const auto began = world_.now();
        do {
            outcome.missing = missing();
            if (outcome.missing.empty()) break;
            world_.sleep(1s);
        } while (world_.now() < began + arrival);
        outcome.arrived = world_.now() - began;
        world_.sleep(10s);   // longer than any event is held up
        cluster_.check_watches_are_complete();
    }

    // The first thing that is not as it should be in the end; "" when all is.
    std::string missing() const {
        const auto& state = cluster_.record().state();
        for (const auto* name : {"default", "kube-system", "kube-public", "kube-node-lease"})
            if (!cluster_.record().find(concat("/registry/namespaces/", name)))
                return concat("the namespace ", name);
        std::map<std::string, Room> rooms;
        std::vector<std::pair<std::string, codec::Document>> pods;
        for (const auto& [key, stored] : state) {
            if (stored.text.empty()) continue;
            auto document = codec::parse_json(stored.text);
            if (!document) return key;
            const auto& object = document->root;
            if (!object.text_at({"metadata", "deletionTimestamp"}).empty() &&
                !is_held_volume(key, object))
                return concat("the end of ", key);
            if (key.starts_with("/registry/namespaces/")) {
                const auto what = lacks(key.substr(key.rfind('/') + 1));
                if (!what.empty()) return what;
            }
            if (key.starts_with("/registry/minions/")) {
                const auto amount = [&](std::string_view name) {
                    return api::Quantity::parse(object.text_at({"status", "allocatable", name}));
                };
                if (!amount("cpu") || !amount("pods")) return concat(key, " has not registered");
                auto& room = rooms[key.substr(key.rfind('/') + 1)];
                room.cpu += amount("cpu")->milli_value();
                room.pods += amount("pods")->value();
            }
            if (key.starts_with("/registry/pods/")) {
                const auto node = object.text_at({"spec", "nodeName"});
                if (!node.empty() && !is_finished(object)) {
                    rooms[std::string{node}].cpu -= milli_cpu_of_pod(object);
                    --rooms[std::string{node}].pods;
                }
                pods.emplace_back(key, std::move(*document));
            }
        }
        if (rooms.size() != static_cast<size_t>(nodes)) return "a node";
        if (const auto what = deployments_not_settled(); !what.empty()) return what;
        if (const auto what = volumes_not_settled(state); !what.empty()) return what;
        for (const auto& [key, document] : pods)
            if (const auto what = not_settled(key, document.root, rooms); !what.empty())
                return what;
        return {};
    }

    // Every deployment has the pods that it asks for, of its newest template when there is room for
    // them; what belongs to no deployment any more is gone.
    std::string deployments_not_settled() const {
        struct Counts {
            int64_t active = 0, pending = 0;
        };
        std::map<std::string, Counts> pods;   // by the set's uid
        std::map<std::string, std::pair<std::string, codec::Document>> sets, deployments;
        for (const auto& [key, stored] : cluster_.record().state()) {
            const bool set = key.starts_with("/registry/replicasets/");
            const bool deployment = key.starts_with("/registry/deployments/");
            const bool pod = key.starts_with("/registry/pods/");
            if (stored.text.empty() || !(set || deployment || pod)) continue;
            auto document = codec::parse_json(stored.text);
            if (!document) return key;
            const std::string uid{document->root.text_at({"metadata", "uid"})};
            if (pod && is_active_pod(document->root)) {
                auto& counts = pods[controller_uid(document->root)];
                ++counts.active;
                counts.pending += document->root.text_at({"status", "phase"}) != "Running";
            }
            if (set) sets.emplace(uid, std::pair{key, std::move(*document)});
            if (deployment) deployments.emplace(uid, std::pair{key, std::move(*document)});
        }
        const auto number = [](const codec::Json& object, std::string_view outer,
                               std::string_view inner) {
            const auto* value = object.at_path({outer, inner});
            return value && value->is_integer() ? value->as_int() : 0;
        };
        std::map<std::string, Counts> of_deployment;
        for (const auto& [uid, entry] : sets) {
            const auto& [key, document] = entry;
            const auto owner = controller_uid(document.root);
            if (!deployments.contains(owner)) return concat(key, " has lost its deployment");
            const auto& counts = pods[uid];
            if (counts.active != number(document.root, "spec", "replicas") ||
                counts.active != number(document.root, "status", "replicas"))
                return concat(key, " has ", counts.active, " pods, not ",
                              number(document.root, "spec", "replicas"), ", and tells of ",
                              number(document.root, "status", "replicas"));
            of_deployment[owner].active += counts.active;
            of_deployment[owner].pending += counts.pending;
        }
        for (const auto& [uid, counts] : pods)
            if (!uid.empty() && !sets.contains(uid)) return "the end of pods whose set is gone";
        for (const auto& [uid, entry] : deployments) {
            const auto& [key, document] = entry;
            const auto& root = document.root;
            const auto& counts = of_deployment[uid];
            const auto bounds = bounds_of(root);
            const auto* paused = root.at_path({"spec", "paused"});
            const bool waits = paused && paused->is_bool() && paused->as_bool();
            if (number(root, "status", "observedGeneration") !=
                number(root, "metadata", "generation"))
                return concat(key, " is not observed");
            if (counts.active > bounds.most || (counts.active < bounds.least && !waits))
                return concat(key, " has ", counts.active, " pods");
            if (waits || counts.pending > 0) continue;   // on purpose, or for want of room
            const auto replicas = number(root, "spec", "replicas");
            if (counts.active != replicas ||
                number(root, "status", "updatedReplicas") != replicas ||
                number(root, "status", "availableReplicas") != replicas)
                return concat(key, " has not rolled out");
        }
        return {};
    }

    std::string lacks(const std::string& name_space) const {
        if (!cluster_.record().find(concat("/registry/serviceaccounts/", name_space, "/default")))
            return concat("the service account of ", name_space);
        const auto* ca = cluster_.record().find(
            concat("/registry/configmaps/", name_space, "/kube-root-ca.crt"));
        const auto parsed = ca ? codec::parse_json(ca->text) : fail(Reason::NotFound, "");
        if (!parsed || parsed->root.text_at({"data", "ca.crt"}) != root_ca ||
            parsed->root.at_path({"data"})->size() != 1)
            return concat("the root certificate of ", name_space);
        return {};
    }

    static std::string not_settled(const std::string& key, const codec::Json& pod,
                                   const std::map<std::string, Room>& rooms) {
        const auto phase = pod.text_at({"status", "phase"});
        if (!pod.text_at({"spec", "nodeName"}).empty()) {
            const auto name = key.substr(key.rfind('/') + 1);
            const auto want = name.starts_with("ends-")    ? "Succeeded"
                              : name.starts_with("fails-") ? "Failed"
                                                           : "Running";
            return phase == want ? "" : concat(key, " is '", phase, "', not ", want);
        }
        for (const auto& [node, room] : rooms)
            if (milli_cpu_of_pod(pod) <= room.cpu && room.pods >= 1)
                return concat(key, " has no node, but fits on ", node);
        if (const auto* conditions = pod.at_path({"status", "conditions"}))
            for (const auto& condition : conditions->items())
                if (condition.text_at({"type"}) == "PodScheduled" &&
                    condition.text_at({"reason"}) == "Unschedulable")
                    return {};
        return concat(key, " does not say that it cannot be scheduled");
    }

    World& world_;
    mutable Cluster cluster_;
    Users users_;
    const Topic topic_;
    std::map<int, std::unique_ptr<HollowAgent>> agents_;
    bool crashes_ = false;
    bool planned_ = false;
};

Outcome live(uint64_t seed, Disk::Kind disk, Topic topic = Topic::Everything) {
    Outcome outcome;
    World world{seed, steps_max};
    world.run([&] {
        Story story{world, disk, topic};
        story.tell(outcome);
    });
    outcome.trace = world.trace();
    outcome.steps = world.steps();
    return outcome;
}

void live_many(const char* what, Disk::Kind disk, int usual, Topic topic = Topic::Everything) {
    size_t writes = 0;
    size_t bindings = 0;
    uint64_t trace = 0;
    int crashes = 0;
    Duration slowest{};
    const auto seeds = seeds_to_run(usual);
    for (const auto seed : seeds) {
        const auto outcome = live(seed, disk, topic);
        writes += outcome.writes;
        bindings += outcome.bindings;
        trace = trace * 31 + outcome.trace;
        crashes += outcome.crashes;
        slowest = std::max(slowest, outcome.arrived);
        for (const auto& broken : outcome.broken) ADD_FAILURE() << broken;
        if (!outcome.missing.empty()) ADD_FAILURE() << "never came: " << outcome.missing;
        if (testing::Test::HasFailure()) {
            ADD_FAILURE() << "seed " << seed << "; see it again: ./x sim --seed " << seed;
            return;
        }
    }
    std::printf(
        "%s: %zu worlds, %zu writes, %zu claims bound, %d crashes, slowest arrival %s, trace "
        "%016llx\n",
        what, seeds.size(), writes, bindings, crashes, go_duration(slowest).c_str(),
        static_cast<unsigned long long>(trace));
}

TEST(Cluster, keeps_its_promises_on_the_memory_engine) {
    live_many("memory engine", Disk::Kind::Memory, 24);
}

TEST(Cluster, keeps_its_promises_on_sqlite) { live_many("sqlite", Disk::Kind::Sqlite, 12); }

TEST(Cluster, claims_that_race_for_volumes_never_share_one) {
    live_many("claims", Disk::Kind::Memory, 12, Topic::Claims);
}

TEST(Cluster, the_same_seed_is_the_same_world) {
    for (const auto seed : seeds_to_run(3)) {
        for (const auto disk : {Disk::Kind::Memory, Disk::Kind::Sqlite}) {
            const auto once = live(seed, disk);
            const auto again = live(seed, disk);
            EXPECT_EQ(once.trace, again.trace) << seed;
            EXPECT_EQ(once.steps, again.steps) << seed;
        }
    }
    EXPECT_NE(live(1, Disk::Kind::Memory).trace, live(2, Disk::Kind::Memory).trace);
}

}   // namespace
}   // namespace skiff::sim
