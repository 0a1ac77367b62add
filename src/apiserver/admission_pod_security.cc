// Pod Security: a namespace's labels say which standard its pods must keep (enforce) and about
// which their makers are warned (warn). Without labels nothing is asked: privileged.
#include <algorithm>
#include <map>

#include "api/normalize.h"
#include "apiserver/admission_plugins.h"
#include "apiserver/pod_security.h"
#include "base/text.h"

namespace skiff::apiserver {
namespace {

using Level = PodSecurityLevel::Level;

constexpr std::string_view prefix = "pod-security.kubernetes.io/";
constexpr std::string_view modes[] = {"enforce", "audit", "warn"};
constexpr size_t pods_looked_at_max = 3000;   // of a namespace whose labels change, as upstream

std::string_view label(const Json& name_space, std::string_view mode, std::string_view what = "") {
    return name_space.text_at({"metadata", "labels", concat(prefix, mode, what)});
}

// A label that says nonsense, from before there were checks, asks for the most.
PodSecurityLevel level_of(const Json& name_space, std::string_view mode) {
    PodSecurityLevel found;
    if (const auto text = label(name_space, mode); !text.empty())
        found.level = parse_security_level(text).value_or(Level::Restricted);
    if (const auto text = label(name_space, mode, "-version"); !text.empty())
        found.minor = parse_security_version(text).value_or(std::nullopt);
    return found;
}

std::vector<Cause> label_problems(const Json& name_space) {
    std::vector<Cause> causes;
    const auto* labels = name_space.at_path({"metadata", "labels"});
    if (!labels) return causes;
    const auto add = [&](std::string_view key, std::string_view value, std::string_view must) {
        causes.push_back({.type = "FieldValueInvalid",
                          .message = concat("Invalid value: \"", value, "\": ", must),
                          .field = concat("metadata.labels[", key, "]")});
    };
    for (const auto mode : modes) {
        const auto key = concat(prefix, mode), version_key = concat(key, "-version");
        if (const auto* value = labels->find(key); value && !parse_security_level(value->text()))
            add(key, value->text(), "must be one of privileged, baseline, restricted");
        if (const auto* value = labels->find(version_key);
            value && !parse_security_version(value->text()))
            add(version_key, value->text(), "must be \"latest\" or \"v1.x\"");
    }
    return causes;
}

std::vector<PodSecurityProblem> problems_of(const Json& pod, const PodSecurityLevel& level) {
    const auto* spec = pod.find("spec");
    if (!spec) return {};
    return pod_security_problems(pod.at_path({"metadata", "annotations"}), *spec, level);
}

// Those that run already and would not be let in any more.
void warn_of_pods(const Admission& admission, const PodSecurityLevel& level) {
    struct Same {
        std::string first;
        size_t others = 0;
    };
    std::map<std::string, Same> by_reasons;
    size_t seen = 0;
    admission.registry.parts()
        .store.view(admission.registry.core("pods").resource)
        .scan(concat(admission.name, "/"), {},
              [&](std::string_view name, const store::ObjectPtr& object) {
                  const auto pod = parse_stored(*object);
                  if (!pod) return true;
                  const auto problems = problems_of(pod->root, level);
                  if (!problems.empty()) {
                      auto& same = by_reasons[reasons_of(problems)];
                      if (same.first.empty())
                          same.first = name.substr(name.find('/') + 1);
                      else
                          ++same.others;
                  }
                  return ++seen < pods_looked_at_max;
              });
    if (by_reasons.empty()) return;
    auto& warnings = admission.call.warnings;
    warnings.push_back(concat("existing pods in namespace \"", admission.name,
                              "\" violate the new PodSecurity enforce level \"", level.text(),
                              "\""));
    std::vector<std::string> lines;
    for (const auto& [reasons, same] : by_reasons) {
        auto line = same.first;
        if (same.others)
            append(line, " (and ", same.others, same.others == 1 ? " other pod)" : " other pods)");
        lines.push_back(concat(line, ": ", reasons));
    }
    std::ranges::sort(lines);
    std::ranges::move(lines, std::back_inserter(warnings));
}

Result<> check_namespace(const Admission& admission) {
    if (!admission.document || !admission.subresource.empty()) return {};
    const auto& now = admission.document->root;
    auto problems = label_problems(now);
    const bool bad_before = admission.old && !label_problems(*admission.old).empty();
    if (!problems.empty() && !bad_before)
        return std::unexpected{
            api::invalid_error(*admission.resource.stored, admission.name, std::move(problems))};
    if (!admission.old) return {};
    const auto level = level_of(now, "enforce"), before = level_of(*admission.old, "enforce");
    const bool lower =
        level.level < before.level || (level.level == before.level && level.minor == before.minor);
    if (!lower && level.level != Level::Privileged) warn_of_pods(admission, level);
    return {};
}

bool same_security(const Json& pod, const Json& old) {
    const auto same = [&](std::initializer_list<std::string_view> path) {
        const auto *now = pod.at_path(path), *before = old.at_path(path);
        return now && before ? *now == *before : now == before;
    };
    return same({"spec"}) && same({"metadata", "annotations"});
}

Result<Document> namespace_of(const Admission& admission) {
    const auto& registry = admission.registry;
    const auto object = registry.find(registry.core("namespaces"), {}, admission.name_space);
    if (!object) return Document{.arena = {}, .root = Json::object()};
    return parse_stored(*object);
}

void warn(const Admission& admission, const PodSecurityLevel& level,
          const std::vector<PodSecurityProblem>& problems) {
    if (problems.empty()) return;
    admission.call.warnings.push_back(
        concat("would violate PodSecurity \"", level.text(), "\": ", told_in_full(problems)));
}

void tell_audit(const Admission& admission, const PodSecurityLevel& level,
                const std::vector<PodSecurityProblem>& problems) {
    if (problems.empty()) return;
    admission.call.annotate(
        "pod-security.kubernetes.io/audit-violations",
        concat("would violate PodSecurity \"", level.text(), "\": ", told_in_full(problems)));
}

Result<> check_pod(const Admission& admission) {
    if (!admission.document) return {};
    if (!admission.subresource.empty() && admission.subresource != "ephemeralcontainers") return {};
    const auto& pod = admission.document->root;
    if (admission.old && same_security(pod, *admission.old)) return {};
    TRY(const auto name_space, namespace_of(admission));
    const auto enforced = level_of(name_space.root, "enforce");
    const auto problems = problems_of(pod, enforced);
    admission.call.annotate("pod-security.kubernetes.io/enforce-policy", enforced.text());
    const auto audited = level_of(name_space.root, "audit");
    tell_audit(admission, audited, problems_of(pod, audited));
    if (!problems.empty())
        return std::unexpected{denied(admission, concat("violates PodSecurity \"", enforced.text(),
                                                        "\": ", told_in_full(problems)))};
    const auto warned = level_of(name_space.root, "warn");
    if (warned != enforced) warn(admission, warned, problems_of(pod, warned));
    return {};
}

// The template in what makes pods; null for all else.
const Json* template_in(const api::Kind& kind, const Json& object) {
    if (kind.kind == "PodTemplate") return object.find("template");
    if (kind.kind == "CronJob") return object.at_path({"spec", "jobTemplate", "spec", "template"});
    constexpr std::string_view kinds[] = {"ReplicationController", "ReplicaSet", "Deployment",
                                          "StatefulSet",           "DaemonSet",  "Job"};
    if (std::ranges::find(kinds, kind.kind) == std::end(kinds)) return nullptr;
    return object.at_path({"spec", "template"});
}

// Their pods are refused when they are made; whoever writes the template hears of it now.
Result<> check_template(const Admission& admission) {
    if (!admission.document || !admission.subresource.empty()) return {};
    const auto* made = template_in(*admission.resource.stored, admission.document->root);
    if (!made || !made->find("spec")) return {};
    if (admission.old) {
        const auto* before = template_in(*admission.resource.stored, *admission.old);
        if (before && *before == *made) return {};
    }
    TRY(const auto name_space, namespace_of(admission));
    const auto level = level_of(name_space.root, "warn");
    warn(admission, level, problems_of(*made, level));
    const auto audited = level_of(name_space.root, "audit");
    tell_audit(admission, audited, problems_of(*made, audited));
    return {};
}

}   // namespace

Result<> pod_security(Admission& admission) {
    const auto& kind = *admission.resource.stored;
    if (kind.group.empty() && kind.kind == "Namespace") return check_namespace(admission);
    if (kind.group.empty() && kind.kind == "Pod") return check_pod(admission);
    const bool makes_pods = kind.group.empty() || kind.group == "apps" || kind.group == "batch";
    return makes_pods ? check_template(admission) : Result<>{};
}

}   // namespace skiff::apiserver
