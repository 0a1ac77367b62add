#include "apiserver/status.h"

#include "base/text.h"
#include "codec/json.h"

namespace skiff::apiserver {

using codec::write_json_string;

namespace {

void append_member(std::string& out, std::string_view key, std::string_view text) {
    append(out, ",\"", key, "\":");
    write_json_string(text, out);
}

void append_causes(std::string& out, const std::vector<Cause>& causes) {
    out += "\"causes\":[";
    for (size_t i = 0; i < causes.size(); ++i) {
        out += i ? ",{\"reason\":" : "{\"reason\":";
        write_json_string(causes[i].type, out);
        append_member(out, "message", causes[i].message);
        if (!causes[i].field.empty()) append_member(out, "field", causes[i].field);
        out += '}';
    }
    out += ']';
}

void append_details(std::string& out, const Error& error) {
    const bool any = error.subject || !error.causes.empty() || error.retry_after;
    if (!any) return;
    out += ",\"details\":{";
    const size_t start = out.size();
    const auto comma = [&] {
        if (out.size() > start) out += ',';
    };
    if (error.subject) {
        const auto member = [&](std::string_view key, const std::string& text) {
            if (text.empty()) return;
            comma();
            append(out, '"', key, "\":");
            write_json_string(text, out);
        };
        member("name", error.subject->name);
        member("group", error.subject->group);
        member("kind", error.subject->kind);
        member("uid", error.subject->uid);
    }
    if (!error.causes.empty()) {
        comma();
        append_causes(out, error.causes);
    }
    if (error.retry_after) {
        comma();
        append(out, "\"retryAfterSeconds\":", error.retry_after->count());
    }
    out += '}';
}

}   // namespace

Error too_large_version(store::Revision wanted, store::Revision current) {
    Error error{.reason = Reason::Timeout,
                .message = concat("Too large resource version: ", wanted.value,
                                  ", current: ", current.value)};
    error.causes.push_back(
        {.type = "ResourceVersionTooLarge", .message = "Too large resource version", .field = {}});
    error.retry_after = std::chrono::seconds{1};
    return error;
}

int http_code_of(const Error& error) {
    return error.http_code ? error.http_code : http_status(error.reason);
}

std::string status_json(const Error& error) {
    std::string out =
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":)";
    write_json_string(error.message, out);
    if (const auto reason = reason_text(error.reason); !reason.empty())
        append_member(out, "reason", reason);
    append_details(out, error);
    append(out, ",\"code\":", http_code_of(error), "}");
    return out;
}

std::string success_status_json(std::string_view group, std::string_view resource,
                                std::string_view name, std::string_view uid) {
    std::string out =
        R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","details":{"name":)";
    write_json_string(name, out);
    if (!group.empty()) append_member(out, "group", group);
    append_member(out, "kind", resource);
    if (!uid.empty()) append_member(out, "uid", uid);
    out += "}}";
    return out;
}

net::Response json_response(int status, std::string body) {
    net::Response response{.status = status};
    response.headers.add("content-type", "application/json");
    response.body.emplace_back(Bytes{body});
    return response;
}

net::Response text_response(int status, std::string body) {
    net::Response response{.status = status};
    response.headers.add("content-type", "text/plain; charset=utf-8");
    response.headers.add("x-content-type-options", "nosniff");
    response.body.emplace_back(Bytes{body});
    return response;
}

net::Response error_response(const Error& error) {
    auto response = json_response(http_code_of(error), status_json(error));
    if (error.retry_after)
        response.headers.add("retry-after", std::to_string(error.retry_after->count()));
    return response;
}

}   // namespace skiff::apiserver
