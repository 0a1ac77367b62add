#include "client/client.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "net/http.h"

namespace skiff::client {
namespace {

constexpr unsigned busy_retries_max = 8;   // upstream's client gives up after 10 tries
constexpr Duration busy_wait_max = 30s;
constexpr unsigned list_page_size = 500;

constexpr std::string_view patch_types[] = {
    "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json", "application/apply-patch+yaml"};

void sleep(Executor& executor, Duration delay) {
    executor.make_waiter()->wait_until(executor.clock().monotonic() + delay);
}

std::string delete_options(const DeletePreconditions& preconditions) {
    std::string body = R"({"kind":"DeleteOptions","apiVersion":"v1")";
    if (preconditions.grace_period_seconds)
        append(body, ",\"gracePeriodSeconds\":", *preconditions.grace_period_seconds);
    const auto text_member = [&](std::string_view name, std::string_view value) {
        append(body, body.back() == '{' ? "" : ",", "\"", name, "\":");
        codec::write_json_string(value, body);
    };
    if (!preconditions.propagation_policy.empty())
        text_member("propagationPolicy", preconditions.propagation_policy);
    if (!preconditions.uid.empty() || !preconditions.resource_version.empty()) {
        body += ",\"preconditions\":{";
        if (!preconditions.uid.empty()) text_member("uid", preconditions.uid);
        if (!preconditions.resource_version.empty())
            text_member("resourceVersion", preconditions.resource_version);
        body += "}";
    }
    body += "}";
    return body;
}

// Several pages as one List, with the revision they all share.
Bytes joined(const std::vector<Bytes>& pages) {
    if (pages.size() == 1) return pages.front();
    std::string out = "{";
    const std::string_view first = pages.front();
    for (const std::string_view name : {"kind", "apiVersion"})
        if (const auto value = json_member(first, name); !value.empty())
            append(out, "\"", name, "\":", value, ",");
    append(out, "\"metadata\":{\"resourceVersion\":",
           json_member(json_member(first, "metadata"), "resourceVersion"), "},\"items\":[");
    bool any = false;
    for (const auto& page : pages) {
        const auto parts = list_page_of(page);
        for (const auto item : parts->items) append(out, std::exchange(any, true) ? "," : "", item);
    }
    out += "]}";
    return Bytes{out};
}

}   // namespace

std::string path_of(const ResourceName& resource, std::string_view name_space,
                    std::string_view name, std::string_view subresource) {
    std::string path = resource.group.empty()
                           ? concat("/api/", resource.version)
                           : concat("/apis/", resource.group, "/", resource.version);
    if (!name_space.empty()) append(path, "/namespaces/", name_space);
    append(path, "/", resource.resource);
    if (!name.empty()) append(path, "/", name);
    if (!subresource.empty()) append(path, "/", subresource);
    return path;
}

void add_parameter(std::string& query, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    append(query, query.empty() ? "" : "&", name, "=", net::percent_encoded(value));
}

Result<ApiResponse> Client::call(ApiRequest request) {
    for (unsigned tries = 0;; ++tries) {
        auto answer = send_and_wait(executor_, transport_, request);
        const bool busy = !answer && answer.error().reason == Reason::TooManyRequests;
        if (!busy || !answer.error().retry_after || tries == busy_retries_max) return answer;
        sleep(executor_, std::min<Duration>(*answer.error().retry_after, busy_wait_max));
    }
}

Result<Bytes> Client::get_text(const ResourceName& resource, const ObjectKey& key) {
    TRY(auto answer, call({.path = path_of(resource, key.name_space, key.name)}));
    return std::move(answer.body);
}

ApiRequest Client::create_request(const ResourceName& resource, std::string_view name_space,
                                  std::string body, std::string_view name,
                                  std::string_view subresource) const {
    ApiRequest request{.method = "POST",
                       .path = path_of(resource, name_space, name, subresource),
                       .content_type = "application/json",
                       .body = std::move(body)};
    add_parameter(request.query, "fieldManager", field_manager_);
    return request;
}

ApiRequest Client::update_request(const ResourceName& resource, const ObjectKey& key,
                                  std::string body, std::string_view subresource) const {
    ApiRequest request{.method = "PUT",
                       .path = path_of(resource, key.name_space, key.name, subresource),
                       .content_type = "application/json",
                       .body = std::move(body)};
    add_parameter(request.query, "fieldManager", field_manager_);
    return request;
}

ApiRequest Client::patch_request(const ResourceName& resource, const ObjectKey& key, PatchType type,
                                 std::string patch, std::string_view subresource) const {
    ApiRequest request{.method = "PATCH",
                       .path = path_of(resource, key.name_space, key.name, subresource),
                       .content_type = std::string{patch_types[static_cast<size_t>(type)]},
                       .body = std::move(patch)};
    add_parameter(request.query, "fieldManager", field_manager_);
    // A controller owns what it applies (server-side apply's advice to controllers).
    if (type == PatchType::Apply) add_parameter(request.query, "force", "true");
    return request;
}

ApiRequest Client::remove_request(const ResourceName& resource, const ObjectKey& key,
                                  const DeletePreconditions& preconditions) {
    return {.method = "DELETE",
            .path = path_of(resource, key.name_space, key.name),
            .content_type = "application/json",
            .body = delete_options(preconditions)};
}

Result<Bytes> Client::create_text(const ResourceName& resource, std::string_view name_space,
                                  std::string body, std::string_view name,
                                  std::string_view subresource) {
    TRY(auto answer,
        call(create_request(resource, name_space, std::move(body), name, subresource)));
    return std::move(answer.body);
}

Result<Bytes> Client::update_text(const ResourceName& resource, const ObjectKey& key,
                                  std::string body, std::string_view subresource) {
    TRY(auto answer, call(update_request(resource, key, std::move(body), subresource)));
    return std::move(answer.body);
}

Result<Bytes> Client::patch_text(const ResourceName& resource, const ObjectKey& key, PatchType type,
                                 std::string patch, std::string_view subresource) {
    TRY(auto answer, call(patch_request(resource, key, type, std::move(patch), subresource)));
    return std::move(answer.body);
}

Result<Bytes> Client::remove_for_answer(const ResourceName& resource, const ObjectKey& key,
                                        const DeletePreconditions& preconditions) {
    TRY(auto answer, call(remove_request(resource, key, preconditions)));
    return std::move(answer.body);
}

Result<> Client::remove_text(const ResourceName& resource, const ObjectKey& key,
                             const DeletePreconditions& preconditions) {
    TRY_OK(remove_for_answer(resource, key, preconditions));
    return {};
}

Result<Bytes> Client::list_text(const ResourceName& resource, std::string_view name_space,
                                const ListQuery& query) {
    std::vector<Bytes> pages;
    std::string continue_token;
    bool paged = true;
    for (;;) {
        ApiRequest request{.path = path_of(resource, name_space)};
        add_parameter(request.query, "labelSelector", query.label_selector);
        add_parameter(request.query, "fieldSelector", query.field_selector);
        if (paged) add_parameter(request.query, "limit", concat(list_page_size));
        add_parameter(request.query, "continue", continue_token);
        auto answer = call(std::move(request));
        if (!answer && answer.error().http_code == 410 && !pages.empty()) {
            pages.clear();   // the token expired: all at once, as upstream's pager falls back
            continue_token.clear();
            paged = false;
            continue;
        }
        if (!answer) return std::unexpected{std::move(answer).error()};
        TRY(const ListPage page, list_page_of(answer->body.view()));
        continue_token = page.continue_token;
        pages.push_back(std::move(answer->body));
        if (continue_token.empty()) return joined(pages);
    }
}

}   // namespace skiff::client
