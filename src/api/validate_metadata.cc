#include "api/validate_metadata.h"

#include "api/names.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

constexpr size_t annotations_bytes_max = 256u << 10;

std::string check_name(std::string_view format, std::string_view name) {
    if (format == "dns1123label") return check_dns1123_label(name);
    if (format == "dns1035label") return check_dns1035_label(name);
    if (format == "path") return check_path_segment(name);
    return check_dns1123_subdomain(name);
}

// A prefix may end in what a name may not: upstream checks it with its last dash covered.
std::string check_prefix(std::string_view format, std::string_view prefix) {
    std::string whole{prefix};
    if (format == "path") return check_path_segment(whole);
    if (whole.size() > 1 && whole.ends_with('-')) whole.back() = 'a';
    return check_name(format, whole);
}

class Metadata {
  public:
    Metadata(const Kind& kind, const Json& metadata, Causes& causes)
        : kind_{kind}, metadata_{metadata}, causes_{causes} {}

    void check() {
        names();
        labels();
        annotations();
        owners();
        finalizers();
    }
    void check_update(const Json& old) {
        const Json* was = old.find("generation");
        const Json* now = metadata_.find("generation");
        if (was && was->is_integer() && (!now || now->as_int() < was->as_int()))
            add_invalid(causes_, path_.child("generation"), now ? now->as_int() : 0,
                        "must not be decremented");
        for (const std::string_view field : {"name", "namespace", "uid", "creationTimestamp",
                                             "deletionTimestamp", "deletionGracePeriodSeconds"})
            unchanged(field, old);
        finalizers_of_the_dying(old);
    }

  private:
    std::string_view text(std::string_view field) const { return metadata_.text_at({field}); }

    void names() {
        if (const auto prefix = text("generateName"); !prefix.empty())
            add_unless_ok(causes_, path_.child("generateName"), prefix,
                          check_prefix(kind_.name_format, prefix));
        const FieldPath name_path = path_.child("name");
        if (text("name").empty())
            add_required(causes_, name_path, "name or generateName is required");
        else
            add_unless_ok(causes_, name_path, text("name"),
                          check_name(kind_.name_format, text("name")));
        const FieldPath space_path = path_.child("namespace");
        if (kind_.scope == Scope::Cluster) {
            if (!text("namespace").empty())
                add_forbidden(causes_, space_path, "not allowed on this type");
        } else if (text("namespace").empty()) {
            add_required(causes_, space_path);
        } else {
            add_unless_ok(causes_, space_path, text("namespace"),
                          check_dns1123_label(text("namespace")));
        }
        const Json* generation = metadata_.find("generation");
        if (generation && generation->is_integer() && generation->as_int() < 0)
            add_invalid(causes_, path_.child("generation"), generation->as_int(),
                        not_negative_message);
    }

    void labels() {
        const Json* labels = metadata_.find("labels");
        if (!labels) return;
        const FieldPath path = path_.child("labels");
        for (const auto& [key, value] : labels->members()) {
            add_unless_ok(causes_, path, key, check_qualified_name(key));
            add_unless_ok(causes_, path, value.text(), check_label_value(value.text()));
        }
    }

    void annotations() {
        const Json* annotations = metadata_.find("annotations");
        if (!annotations) return;
        const FieldPath path = path_.child("annotations");
        size_t bytes = 0;
        for (const auto& [key, value] : annotations->members()) {
            add_unless_ok(causes_, path, key, check_qualified_name(lower(key)));
            bytes += key.size() + value.text().size();
        }
        if (bytes > annotations_bytes_max) add_too_long(causes_, path, annotations_bytes_max);
    }

    void owners() {
        const Json* owners = metadata_.find("ownerReferences");
        if (!owners) return;
        const FieldPath path = path_.child("ownerReferences");
        const Json* controller = nullptr;
        for (size_t i = 0; i < owners->items().size(); ++i) {
            const Json& owner = owners->items()[i];
            const FieldPath here = path_.child("ownerReferences", i);
            check_owner(owner, here);
            const Json* flag = owner.find("controller");
            if (!flag || !flag->is_bool() || !flag->as_bool()) continue;
            if (controller)
                add_invalid(
                    causes_, path, *owners,
                    concat("Only one reference can have Controller set to true. Found \"true\" in "
                           "references for ",
                           controller->text_at({"name"}), " and ", owner.text_at({"name"})));
            controller = &owner;
        }
    }

    void check_owner(const Json& owner, const FieldPath& path) {
        const auto version = owner.text_at({"apiVersion"});
        if (version.empty() || version.ends_with('/'))
            add_invalid(causes_, path.child("apiVersion"), version, "version must not be empty");
        for (const std::string_view field : {"kind", "name", "uid"})
            if (owner.text_at({field}).empty())
                add_invalid(causes_, path.child(field), "", "must not be empty");
        if (owner.text_at({"kind"}) == "Event" && version == "v1")
            add_invalid(causes_, path, owner, "/v1, Kind=Event is disallowed from being an owner");
    }

    void finalizers() {
        const Json* finalizers = metadata_.find("finalizers");
        if (!finalizers) return;
        const FieldPath path = path_.child("finalizers");
        bool orphan = false, foreground = false;
        for (const Json& finalizer : finalizers->items()) {
            add_unless_ok(causes_, path, finalizer.text(), check_qualified_name(finalizer.text()));
            orphan = orphan || finalizer.text() == "orphan";
            foreground = foreground || finalizer.text() == "foregroundDeletion";
        }
        if (orphan && foreground)
            add_invalid(causes_, path, *finalizers,
                        "finalizer orphan and foregroundDeletion cannot be both set");
    }

    void unchanged(std::string_view field, const Json& old) {
        const Json absent;
        const Json* was = old.find(field);
        const Json* now = metadata_.find(field);
        if (!((was ? *was : absent) == (now ? *now : absent)))
            add_invalid(causes_, path_.child(field), now ? *now : absent, immutable_message);
    }

    void finalizers_of_the_dying(const Json& old) {
        if (!old.find("deletionTimestamp")) return;
        const Json* now = metadata_.find("finalizers");
        if (!now) return;
        std::string added;
        for (const Json& finalizer : now->items()) {
            const Json* was = old.find("finalizers");
            bool known = false;
            if (was)
                for (const Json& one : was->items())
                    known = known || one.text() == finalizer.text();
            if (known) continue;
            if (!added.empty()) added += ", ";
            codec::write_json_string(finalizer.text(), added);
        }
        if (!added.empty())
            add_forbidden(causes_, path_.child("finalizers"),
                          concat("no new finalizers can be added if the object is being deleted, "
                                 "found new finalizers []string{",
                                 added, "}"));
    }

    const Kind& kind_;
    const Json& metadata_;
    Causes& causes_;
    const FieldPath path_{"metadata"};
};

}   // namespace

void validate_metadata(const Kind& kind, const Json& object, const Json* old, Causes& causes) {
    const Json none = Json::object();
    const Json* metadata = object.find("metadata");
    Metadata checks{kind, metadata ? *metadata : none, causes};
    checks.check();
    const Json* old_metadata = old ? old->find("metadata") : nullptr;
    if (old_metadata) checks.check_update(*old_metadata);
}

}   // namespace skiff::api
