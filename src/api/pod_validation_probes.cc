// Probes and lifecycle hooks: exactly one handler each, and what the handlers need.
#include <algorithm>
#include <string>

#include "api/json_fields.h"
#include "api/names.h"
#include "api/pod_validation.h"
#include "base/text.h"

namespace skiff::api {
namespace {

using codec::Json;

// A port by number or by name. An absent one reads as the number 0, as in Go.
void validate_port(const Json& port, const FieldPath& path, Causes& causes) {
    if (port.is_string())
        add_unless_ok(causes, path, port.as_string(),
                      check_format(Format::PortName, port.as_string()));
    else
        check_port_number(causes, path, int_or(port, 0));
}

bool is_header_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-';
    };
    return !name.empty() && std::ranges::all_of(name, allowed);
}

void validate_http_get(const Json& action, const FieldPath& path, Causes& causes) {
    if (text_of(action, "path").empty()) add_required(causes, path.child("path"));
    validate_port(field(action, "port"), path.child("port"), causes);
    const auto headers = field(action, "httpHeaders").items();
    for (size_t i = 0; i < headers.size(); ++i) {
        const auto name = text_of(headers[i], "name");
        if (!is_header_name(name))
            add_invalid(causes, path.child("httpHeaders"), name,
                        "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. "
                        "'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')");
    }
}

void validate_sleep(const Json& action, int64_t grace_seconds, const FieldPath& path,
                    Causes& causes) {
    const int64_t seconds = int_or(field(action, "seconds"), 0);
    if (seconds >= 0 && seconds <= grace_seconds) return;
    add_invalid(causes, path, seconds,
                concat("must be non-negative and less than terminationGracePeriodSeconds (",
                       grace_seconds, ")"));
}

void validate_action(std::string_view name, const Json& action, int64_t grace_seconds,
                     const FieldPath& path, Causes& causes) {
    if (name == "exec" && blank(field(action, "command")))
        add_required(causes, path.child("command"));
    else if (name == "httpGet")
        validate_http_get(action, path, causes);
    else if (name == "tcpSocket")
        validate_port(field(action, "port"), path.child("port"), causes);
    else if (name == "grpc")
        check_port_number(causes, path.child("port"), int_or(field(action, "port"), 0));
    else if (name == "sleep")
        validate_sleep(action, grace_seconds, path, causes);
}

void validate_handler(const Json& holder, int64_t grace_seconds, const FieldPath& path,
                      Causes& causes) {
    size_t handlers = 0;
    for (const std::string_view name : {"exec", "httpGet", "tcpSocket", "grpc", "sleep"}) {
        const Json& action = field(holder, name);
        if (!present(action)) continue;
        const FieldPath action_path = path.child(name);
        if (++handlers > 1)
            add_forbidden(causes, action_path, "may not specify more than 1 handler type");
        else
            validate_action(name, action, grace_seconds, action_path, causes);
    }
    if (handlers == 0) add_required(causes, path, "must specify a handler type");
}

void validate_probe(std::string_view name, const Json& probe, int64_t grace_seconds,
                    const FieldPath& path, Causes& causes) {
    validate_handler(probe, grace_seconds, path, causes);
    const Json& grace = field(probe, "terminationGracePeriodSeconds");
    if (name == "readinessProbe") {
        if (present(grace))
            add_invalid(causes, path.child("terminationGracePeriodSeconds"), grace,
                        "must not be set for readinessProbes");
        return;
    }
    if (present(grace) && int_or(grace, 0) <= 0)
        add_invalid(causes, path.child("terminationGracePeriodSeconds"), grace,
                    "must be greater than 0");
    if (const int64_t successes = int_or(field(probe, "successThreshold"), 1); successes != 1)
        add_invalid(causes, path.child("successThreshold"), successes, "must be 1");
}

void validate_lifecycle(const Json& lifecycle, const PodFacts& pod, const FieldPath& path,
                        Causes& causes) {
    for (const std::string_view hook : {"postStart", "preStop"}) {
        const Json& handler = field(lifecycle, hook);
        if (!present(handler)) continue;
        const FieldPath hook_path = path.child(hook);
        validate_handler(handler, pod.grace_period_seconds, hook_path, causes);
    }
    if (present(field(lifecycle, "stopSignal")) && text_of(pod.spec, "os", "name").empty())
        add_forbidden(causes, path.child("stopSignal"),
                      "may not be set for containers with empty `spec.os.name`");
}

}   // namespace

void validate_probes(const Json& container, ContainerRole role, const PodFacts& pod,
                     const FieldPath& path, Causes& causes) {
    for (const std::string_view name :
         {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"}) {
        const Json& value = field(container, name);
        if (!present(value)) continue;
        const FieldPath value_path = path.child(name);
        if (role == ContainerRole::Init)
            add_forbidden(causes, value_path,
                          "may not be set for init containers without restartPolicy=Always");
        else if (role == ContainerRole::Ephemeral)
            add_forbidden(causes, value_path, "cannot be set for an Ephemeral Container");
        else if (name == "lifecycle")
            validate_lifecycle(value, pod, value_path, causes);
        else
            validate_probe(name, value, pod.grace_period_seconds, value_path, causes);
    }
}

}   // namespace skiff::api
