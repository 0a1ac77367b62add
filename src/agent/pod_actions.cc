#include "agent/pod_actions.h"

#include <algorithm>

#include <sys/stat.h>
#include <unistd.h>

#include "agent/log_files.h"
#include "agent/log_reader.h"
#include "agent/resources.h"
#include "agent/volumes/subpath.h"
#include "base/log.h"
#include "base/os.h"
#include "base/text.h"

namespace skiff::agent {

namespace {

constexpr size_t message_bytes_max = 4096;   // kubelet's bounds of a termination message
constexpr size_t message_log_bytes_max = 2048;
constexpr int64_t message_log_lines_max = 80;
constexpr int64_t kill_grace_seconds_min = 2;   // left to the container after a long hook
constexpr Duration settle_time_max = 2s;        // how far the runtime's answer trails its events

StartFailure failure_of(std::string reason, std::string message) {
    return {.reason = std::move(reason), .message = std::move(message)};
}

// The spec's container for an order, whatever list it is in.
Container container_of(const StartOrder& order) {
    const auto& spec = order.pod->spec;
    switch (order.what.role) {
    case Role::Main: return spec.containers[order.what.index];
    case Role::Ephemeral: return as_container(spec.ephemeralContainers[order.what.index]);
    default: return spec.initContainers[order.what.index];
    }
}

Result<std::vector<MountSource>> mount_sources(const PodFolder& folder, const StartOrder& order,
                                               const Container& container,
                                               const std::vector<cri::KeyValue>& environment) {
    std::vector<MountSource> out;
    for (size_t i = 0; i < container.volumeMounts.size(); ++i) {
        const auto& mount = container.volumeMounts[i];
        const auto volume = order.volume_paths.find(mount.name);
        if (volume == order.volume_paths.end()) {
            return fail(Reason::NotFound,
                        concat("cannot find volume \"", mount.name, "\" to mount into container \"",
                               container.name, "\""));
        }
        MountSource source{.host_path = volume->second};
        const auto of = std::ranges::find(order.pod->spec.volumes, mount.name, &Volume::name);
        source.readonly = of != order.pod->spec.volumes.end() &&
                          (has_payload(*of) ||
                           (of->persistentVolumeClaim && of->persistentVolumeClaim->readOnly));
        std::string inside = mount.subPath;
        if (!mount.subPathExpr.empty()) inside = expand({mount.subPathExpr}, environment).front();
        if (!inside.empty()) {
            const std::string target = folder.subpath(mount.name, container.name, i);
            auto bound = bind_beneath(volume->second, inside, target);
            if (!bound) {
                return fail(
                    bound.error().reason,
                    concat("failed to prepare subPath for volumeMount \"", mount.name,
                           "\" of container \"", container.name, "\": ", bound.error().message));
            }
            source.host_path = target;
        } else if (!file_exists(source.host_path) && of != order.pod->spec.volumes.end() &&
                   of->hostPath) {
            TRY_OK(make_directories(source.host_path));   // as the field's runtimes do for type ""
        }
        out.push_back(std::move(source));
    }
    return out;
}

Result<cri::ContainerConfig> build_config(const PodParts& parts, const StartOrder& order,
                                          const Container& container, ImageReady image) {
    const Pod& pod = *order.pod;
    const PodFolder folder{parts.root, pod.metadata.uid};
    const auto source = field_source(pod, order.sandbox.addresses, parts.node);
    TRY(const auto values,
        parts.configs.read(pod.metadata.namespace_.str(), environment_names(container)));
    TRY(const auto environment, make_environment(container, source, values));
    ContainerFacts facts{.pod = pod,
                         .container = container,
                         .restart_count = order.what.restart_count,
                         .image = std::move(image),
                         .pod_addresses = order.sandbox.addresses,
                         .target_container_id = order.target_container_id};
    TRY(facts.mounts, mount_sources(folder, order, container, environment));
    TRY_OK(make_directories(folder.path()));
    facts.hosts_path = folder.hosts();
    TRY_OK(
        write_file(facts.hosts_path, hosts_file(pod, order.sandbox.addresses, parts.node.host_hosts,
                                                parts.node.dns.cluster_domain)));
    facts.message_path = folder.message_file(container.name, order.what.restart_count);
    TRY_OK(make_directories(facts.message_path.substr(0, facts.message_path.rfind('/'))));
    TRY_OK(write_file(facts.message_path, ""));
    if (::chmod(facts.message_path.c_str(), 0666) != 0) {   // whatever user the container runs as
        return fail_errno(concat("chmod ", facts.message_path), errno);
    }
    return container_config(facts, parts.node, values);
}

// The runtime may need a moment until it shows what it has just told us.
Result<cri::ContainerStatus> settled_status(const PodParts& parts, const std::string& id,
                                            bool ended) {
    const MonoTime deadline = parts.executor.clock().monotonic() + settle_time_max;
    for (;;) {
        TRY(auto answer, parts.cri.container_status(id));
        const bool waits = ended && answer.status.state == ContainerState::Running;
        if (!waits || parts.executor.clock().monotonic() > deadline)
            return std::move(answer.status);
        parts.executor.make_waiter()->wait_until(parts.executor.clock().monotonic() + 5ms);
    }
}

std::string last_log_lines(const std::string& path) {
    LogReader reader{path, {.tail_lines = message_log_lines_max}};
    std::string out;
    while (reader.read(out, 64u << 10) == LogReader::State::More) {}
    if (out.size() > message_log_bytes_max) out.erase(0, out.size() - message_log_bytes_max);
    return out;
}

// What the container left as its last words.
void read_message(const PodParts& parts, const Pod& pod, const cri::ContainerStatus& status,
                  ContainerRecord& record) {
    const PodFolder folder{parts.root, pod.metadata.uid};
    const auto text =
        read_file(folder.message_file(record.name, record.restart_count), message_bytes_max * 16);
    std::string message = text ? text->substr(0, message_bytes_max) : "";
    const auto policy = status.annotations.find(annotation_message_policy);
    if (message.empty() && policy != status.annotations.end() &&
        policy->second == "FallbackToLogsOnError" && record.exit_code != 0) {
        message = last_log_lines(record.log_path);
    }
    if (!message.empty()) record.message = std::move(message);
}

void link_log(const PodParts& parts, const Pod& pod, const ContainerRecord& record) {
    const std::string link = container_log_link(parts.node.log_root, pod.metadata.name,
                                                pod.metadata.namespace_, record.name, record.id);
    auto made = make_directories(parts.node.log_root + "/containers");
    if (made && ::symlink(record.log_path.c_str(), link.c_str()) != 0 && errno != EEXIST) {
        log_warn("log link not made", {{"link", link}});
    }
}

// Runs postStart; a failure kills the container, whose end is then handled as any other.
void run_post_start(const PodParts& parts, const StartOrder& order, const Container& container,
                    StartResult& result) {
    if (!container.lifecycle || !container.lifecycle->postStart) return;
    const std::string id = result.record->id;
    const std::string address =
        order.sandbox.addresses.empty() ? "" : order.sandbox.addresses.front();
    order.hook_begins(*result.record);
    const auto done =
        parts.hooks.run(*container.lifecycle->postStart, {container, id, address}, 10min);
    if (!order.hook_ends()) {
        result = {.record = {}, .failure = {}, .forgotten = true};
        return;
    }
    if (done) return;
    tell(parts, *order.pod, container.name, true, "FailedPostStartHook",
         concat("PostStartHook failed: ", done.error().message));
    tell(parts, *order.pod, container.name, false, "Killing", "FailedPostStartHook");
    const auto grace = order.pod->spec.terminationGracePeriodSeconds.value_or(30);
    const auto stopped = parts.cri.stop_container(id, std::chrono::seconds{grace});
    if (!stopped)
        log_warn("container not stopped", {{"id", id}, {"error", stopped.error().message}});
    result.failure = failure_of("PostStartHookError", done.error().message);
    auto ended = read_ended_container(parts, *order.pod, id, order.sandbox.id);
    if (ended) result.record = *std::move(ended);
}

// An agent that was killed, or a runtime that was, may have left a call behind that went through
// without its answer. The runtime then refuses the same name again: what has it is ours.
Result<std::string> sandbox_of_a_lost_call(const PodParts& parts, const Pod& pod, unsigned attempt,
                                           Error error) {
    const auto known =
        parts.cri.list_pod_sandboxes({.label_selector = {{label_pod_uid, pod.metadata.uid}}});
    if (!known) return std::unexpected{std::move(error)};
    for (const auto& sandbox : *known) {
        if (sandbox.metadata.attempt != attempt) continue;
        if (sandbox.state == cri::PodSandboxState::Ready) return sandbox.id;
        TRY_OK(parts.cri.stop_pod_sandbox(sandbox.id));   // the next try finds the name free
        TRY_OK(parts.cri.remove_pod_sandbox(sandbox.id));
    }
    return std::unexpected{std::move(error)};
}

// The same for a container: one that ran is taken as it is, one that never did makes room.
std::optional<ContainerRecord> container_of_a_lost_call(const PodParts& parts,
                                                        const StartOrder& order,
                                                        const std::string& name) {
    const auto known =
        parts.cri.list_containers({.label_selector = {{label_pod_uid, order.pod->metadata.uid},
                                                      {label_container_name, name}}});
    if (!known) return std::nullopt;
    for (const auto& container : *known) {
        if (container.metadata.attempt != order.what.restart_count) continue;
        if (container.state != ContainerState::Created) {
            auto record = read_container(parts, *order.pod, container.id, container.pod_sandbox_id);
            if (record) return *std::move(record);
        }
        const auto removed = parts.cri.remove_container(container.id);
        if (!removed)
            log_warn("container not removed",
                     {{"id", container.id}, {"error", removed.error().message}});
    }
    return std::nullopt;
}

ImageWanted image_wanted(const PodParts& parts, const StartOrder& order,
                         const Container& container) {
    ImageWanted wanted{.image = container.image,
                       .policy = container.imagePullPolicy.str(),
                       .sandbox = &order.sandbox_config};
    ConfigNames names;
    for (const auto& secret : order.pod->spec.imagePullSecrets) names.secrets.insert(secret.name);
    if (names.empty()) return wanted;
    const auto values = parts.configs.read(order.pod->metadata.namespace_.str(), names);
    std::vector<std::string> missing;
    for (const auto& secret : order.pod->spec.imagePullSecrets) {
        if (!values || !values->secrets.contains(secret.name)) {
            missing.push_back(std::string{secret.name});
            continue;
        }
        const auto& content = values->secrets.at(secret.name);
        for (const char* key : {".dockerconfigjson", ".dockercfg"}) {
            if (const auto config = content.find(key); config != content.end())
                wanted.docker_configs.push_back(config->second);
        }
    }
    if (!missing.empty()) {
        tell(parts, *order.pod, "", true, "FailedToRetrieveImagePullSecret",
             concat("Unable to retrieve some image pull secrets (", join(missing, ", "),
                    "); attempting to pull the image may not succeed."));
    }
    return wanted;
}

}   // namespace

bool runtime_was_away(const Error& error) {
    // containerd's CRI while it starts, and while it still undoes a call whose caller died.
    constexpr std::string_view signs[] = {"server is not initialized yet", "is reserved for"};
    return error.reason == Reason::ServiceUnavailable ||
           std::ranges::any_of(signs, [&](std::string_view sign) {
               return error.message.find(sign) != std::string::npos;
           });
}

void tell(const PodParts& parts, const Pod& pod, const std::string& container, bool warning,
          std::string reason, std::string message) {
    auto about = client::reference_to(pod);
    about.resource_version = pod.metadata.resourceVersion;
    if (!container.empty()) {
        const auto in = [&](const auto& list) {
            return std::ranges::any_of(list,
                                       [&](const auto& one) { return one.name == container; });
        };
        const char* field =
            in(pod.spec.initContainers)
                ? "initContainers"
                : (in(pod.spec.ephemeralContainers) ? "ephemeralContainers" : "containers");
        about.field_path = concat("spec.", field, "{", container, "}");
    }
    parts.events.tell(about, {warning, std::move(reason), std::move(message)});
}

Result<SandboxMade> make_sandbox(const PodParts& parts, const Pod& pod, unsigned attempt) {
    SandboxMade made{.config = sandbox_config(pod, attempt, parts.node)};
    // First of all the folder by which a later agent knows that there is something to clean up.
    TRY_OK(make_directories(PodFolder{parts.root, pod.metadata.uid}.path()));
    TRY_OK(parts.cgroups.make(made.config.linux.cgroup_parent, pod_resources(pod.spec)));
    TRY_OK(make_directories(made.config.log_directory));
    auto id = parts.cri.run_pod_sandbox(made.config);
    if (!id) id = sandbox_of_a_lost_call(parts, pod, attempt, std::move(id).error());
    if (!id) return std::unexpected{std::move(id).error()};
    TRY(const auto answer, parts.cri.pod_sandbox_status(*id));
    made.record = record_of(answer.status);
    if (auto done =
            parts.host_ports.set(pod.metadata.uid, host_ports_of(pod, made.record.addresses));
        !done) {
        tell(parts, pod, "", true, "FailedHostPort", done.error().message);
    }
    return made;
}

Result<SandboxRecord> read_sandbox(const PodParts& parts, const std::string& id, bool ended) {
    const MonoTime deadline = parts.executor.clock().monotonic() + settle_time_max;
    for (;;) {
        TRY(const auto answer, parts.cri.pod_sandbox_status(id));
        auto record = record_of(answer.status);
        if (!ended || !record.ready || parts.executor.clock().monotonic() > deadline) return record;
        parts.executor.make_waiter()->wait_until(parts.executor.clock().monotonic() + 5ms);
    }
}

Result<VolumesMade> make_volumes(const PodParts& parts, const Pod& pod,
                                 const std::vector<std::string>& pod_addresses) {
    VolumesMade made;
    if (pod.spec.volumes.empty()) return made;
    TRY(const auto values,
        parts.configs.read(pod.metadata.namespace_.str(), volume_names(pod.spec)));
    const WallTime now = parts.executor.clock().now();
    Tokens tokens;
    for (const auto& wanted : volume_tokens(pod.spec)) {
        if (tokens.contains(wanted)) continue;
        auto issued = parts.api.token(pod, wanted);
        if (!issued) {
            return std::unexpected{std::move(issued).error().in("failed to fetch token")};
        }
        tokens[wanted] = issued->token;
        // Renewed when four fifths of its time are over, as kubelet does.
        const WallTime renew = now + (issued->expires - now) * 4 / 5;
        if (!made.refresh_at || renew < *made.refresh_at) made.refresh_at = renew;
    }
    ClaimVolumes claims;
    for (const auto& volume : pod.spec.volumes) {
        if (claim_name_of(pod, volume).empty()) continue;
        TRY(claims[volume.name], parts.api.claimed(pod, volume));
    }
    const auto source = field_source(pod, pod_addresses, parts.node);
    TRY(made.paths,
        mount_volumes(PodFolder{parts.root, pod.metadata.uid}, {.source = source,
                                                                .values = values,
                                                                .tokens = tokens,
                                                                .now = now,
                                                                .claims = std::move(claims)}));
    return made;
}

StartResult start_container(const PodParts& parts, const StartOrder& order) {
    const Pod& pod = *order.pod;
    const Container container = container_of(order);
    const auto failed = [&](std::string reason, const Error& error) {
        auto failure = failure_of(std::move(reason), error.message);
        failure.transient = runtime_was_away(error);
        if (!failure.transient)
            tell(parts, pod, container.name, true, "Failed", concat("Error: ", error.message));
        return StartResult{.failure = std::move(failure)};
    };
    if (!order.what.replaces.empty()) {
        const auto removed = parts.cri.remove_container(order.what.replaces);
        if (!removed) return failed("CreateContainerError", removed.error());
    }
    auto image = parts.images.ensure(image_wanted(parts, order, container), [&](ImageEvent event) {
        tell(parts, pod, container.name, event.warning, std::move(event.reason),
             std::move(event.message));
    });
    if (!image) {
        tell(parts, pod, container.name, true, "Failed", concat("Error: ", image.error().reason));
        auto failure = failure_of(image.error().reason, image.error().message);
        failure.image = image.error().reason == "ErrImagePull";
        return {.failure = std::move(failure)};
    }
    auto config = build_config(parts, order, container, *std::move(image));
    if (!config) return failed("CreateContainerConfigError", config.error());
    if (!order.may_create()) return {.forgotten = true};
    const auto id = parts.cri.create_container(order.sandbox.id, *config, order.sandbox_config);
    if (!id) {
        if (auto lost = container_of_a_lost_call(parts, order, container.name))
            return {.record = std::move(lost)};
        return failed("CreateContainerError", id.error());
    }
    order.created(*id);
    tell(parts, pod, container.name, false, "Created",
         concat("Created container: ", container.name));
    const auto started = parts.cri.start_container(*id);
    StartResult result;
    if (started) {
        tell(parts, pod, container.name, false, "Started",
             concat("Started container ", container.name));
    } else {
        result = failed("RunContainerError", started.error());
    }
    auto record = read_container(parts, pod, *id, order.sandbox.id);
    if (!record) return failed("RunContainerError", record.error());
    link_log(parts, pod, *record);
    result.record = *std::move(record);
    if (started) run_post_start(parts, order, container, result);
    return result;
}

Result<> admit_pod(const PodParts& parts, const Pod& pod,
                   const std::vector<std::string>& addresses) {
    if (pod.spec.hostNetwork || addresses.empty() || !parts.network.admit) return {};
    return parts.network.admit({.name_space = pod.metadata.namespace_.str(),
                                .name = pod.metadata.name,
                                .uid = pod.metadata.uid,
                                .address = addresses.front()});
}

Result<> kill_container(const PodParts& parts, const KillOrder& order) {
    const Pod& pod = *order.pod;
    const auto& what = order.what;
    tell(parts, pod, what.name, false, "Killing", what.message);
    int64_t grace = what.grace_seconds;
    if (order.with_hook && grace > 0 && pod.metadata.deletionTimestamp && parts.network.release)
        parts.network.release(pod.metadata.uid);
    const auto* container = find_container(pod.spec, what.name);
    if (order.with_hook && grace > 0 && container && container->lifecycle &&
        container->lifecycle->preStop) {
        const MonoTime began = parts.executor.clock().monotonic();
        const std::string address = order.pod_addresses.empty() ? "" : order.pod_addresses.front();
        const auto done =
            parts.hooks.run(*container->lifecycle->preStop, {*container, what.id, address},
                            std::chrono::seconds{grace});
        if (!done) {
            tell(parts, pod, what.name, true, "FailedPreStopHook",
                 concat("PreStopHook failed: ", done.error().message));
        }
        const auto spent = std::chrono::duration_cast<std::chrono::seconds>(
            parts.executor.clock().monotonic() - began);
        grace = std::max(grace - spent.count(), std::min(grace, kill_grace_seconds_min));
    }
    auto stopped = parts.cri.stop_container(what.id, std::chrono::seconds{grace});
    if (!stopped && stopped.error().reason == Reason::NotFound) return {};
    return stopped;
}

Result<ContainerRecord> read_container(const PodParts& parts, const Pod& pod, const std::string& id,
                                       const std::string& sandbox_id) {
    TRY(const auto status, settled_status(parts, id, false));
    auto record = record_of(status, sandbox_id);
    if (record.ended()) read_message(parts, pod, status, record);
    return record;
}

Result<ContainerRecord> read_ended_container(const PodParts& parts, const Pod& pod,
                                             const std::string& id, const std::string& sandbox_id) {
    TRY(const auto status, settled_status(parts, id, true));
    auto record = record_of(status, sandbox_id);
    if (record.ended()) read_message(parts, pod, status, record);
    return record;
}

void remove_container(const PodParts& parts, const Pod& pod, const ContainerRecord& record) {
    const auto removed = parts.cri.remove_container(record.id);
    if (!removed) {
        return log_warn("container not removed",
                        {{"id", record.id}, {"error", removed.error().message}});
    }
    for (const auto& file : log_files_of(record.log_path)) ::unlink(file.c_str());
    ::unlink(container_log_link(parts.node.log_root, pod.metadata.name, pod.metadata.namespace_,
                                record.name, record.id)
                 .c_str());
    ::unlink(PodFolder{parts.root, pod.metadata.uid}
                 .message_file(record.name, record.restart_count)
                 .c_str());
}

Result<> remove_pod(const PodParts& parts, const Pod& pod, const PodRecord& record) {
    TRY_OK(parts.host_ports.set(pod.metadata.uid, {}));
    for (const auto& container : record.containers) remove_container(parts, pod, container);
    // Also what a start that was given up has left behind.
    TRY(const auto left,
        parts.cri.list_containers({.label_selector = {{label_pod_uid, pod.metadata.uid}}}));
    for (const auto& container : left) TRY_OK(parts.cri.remove_container(container.id));
    TRY(const auto sandboxes,
        parts.cri.list_pod_sandboxes({.label_selector = {{label_pod_uid, pod.metadata.uid}}}));
    for (const auto& sandbox : sandboxes) {
        TRY_OK(parts.cri.stop_pod_sandbox(sandbox.id));
        TRY_OK(parts.cri.remove_pod_sandbox(sandbox.id));
    }
    for (const char* qos : {"Guaranteed", "Burstable", "BestEffort"}) {
        parts.cgroups.remove(
            concat(qos_cgroup(parts.node.cluster_id, qos), "/pod", pod.metadata.uid));
    }
    for (const auto& folder : pod_log_folders(parts.node.log_root, pod.metadata.uid))
        TRY_OK(remove_tree(folder));
    return remove_pod_folder(
        PodFolder{parts.root, pod.metadata.uid});   // last: until then it is known
}

}   // namespace skiff::agent
