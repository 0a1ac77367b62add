#include "apiserver/discovery.h"

#include "apiserver/status.h"
#include "base/text.h"
#include "net/tls.h"

namespace skiff::apiserver {
namespace {

std::string text_list(std::span<const std::string_view> words) {
    std::string out = "[";
    for (const auto word : words) append(out, out.size() > 1 ? "," : "", '"', word, '"');
    return out + "]";
}

std::string verbs_list(std::string_view verbs) {
    const auto words = split(verbs, ',');
    return text_list(words);
}

// As upstream: resources with the same one are the same stored objects.
std::string storage_version_hash(const api::Kind& stored) {
    return base64(
        net::sha256(concat(stored.group, '/', stored.version, '/', stored.kind)).substr(0, 8));
}

// A kind that only shows another group's objects has no short names and stands in no category: they
// would mean both, and `kubectl get all` would list everything twice.
bool is_alias(const api::Kind& kind) {
    return api::stored_kind(kind).group != kind.group && kind.deprecated;
}

std::string resource_entry(const api::Kind& kind) {
    auto out = concat(R"({"name":")", kind.plural, R"(","singularName":")", kind.singular,
                      R"(","namespaced":)", kind.scope == api::Scope::Namespaced ? "true" : "false",
                      R"(,"kind":")", kind.kind, R"(","verbs":)", verbs_list(kind.verbs));
    if (!kind.short_names.empty() && !is_alias(kind))
        append(out, R"(,"shortNames":)", text_list(kind.short_names));
    if (!kind.categories.empty() && !is_alias(kind))
        append(out, R"(,"categories":)", text_list(kind.categories));
    if (const auto& stored = api::stored_kind(kind); !stored.storage_prefix.empty())
        append(out, R"(,"storageVersionHash":")", storage_version_hash(stored), '"');
    return out + "}";
}

std::string subresource_entry(const api::Kind& kind, const api::Subresource& sub) {
    auto out =
        concat(R"({"name":")", kind.plural, '/', sub.name, R"(","singularName":"","namespaced":)",
               kind.scope == api::Scope::Namespaced ? "true" : "false");
    const bool other =
        !sub.kind.empty() && (sub.group != kind.group || sub.version != kind.version);
    if (other) append(out, R"(,"group":")", sub.group, R"(","version":")", sub.version, '"');
    append(out, R"(,"kind":")", sub.kind.empty() ? kind.kind : sub.kind, R"(","verbs":)",
           verbs_list(sub.verbs));
    return out + "}";
}

std::string resource_list(const Catalog& catalog, std::string_view group,
                          std::string_view version) {
    std::string entries;
    for (const auto& resource : catalog.resources()) {
        if (resource.kind->group != group || resource.kind->version != version) continue;
        append(entries, entries.empty() ? "" : ",", resource_entry(*resource.kind));
        for (const auto& sub : resource.kind->subresources)
            append(entries, ",", subresource_entry(*resource.kind, sub));
    }
    if (entries.empty()) return {};
    return concat(R"({"kind":"APIResourceList","apiVersion":"v1","groupVersion":")",
                  api_version_of(group, version), R"(","resources":[)", entries, "]}");
}

std::string group_entry(const Catalog::Group& group, bool typed) {
    auto out = concat("{", typed ? R"("kind":"APIGroup","apiVersion":"v1",)" : "", R"("name":")",
                      group.name, R"(","versions":[)");
    const auto version_entry = [&](std::string_view version) {
        return concat(R"({"groupVersion":")", api_version_of(group.name, version),
                      R"(","version":")", version, R"("})");
    };
    for (size_t i = 0; i < group.versions.size(); ++i)
        append(out, i ? "," : "", version_entry(group.versions[i]));
    return concat(out, R"(],"preferredVersion":)", version_entry(group.versions.front()), "}");
}

std::string group_list(const Catalog& catalog) {
    std::string entries;
    for (const auto& group : catalog.groups()) {
        if (group.name.empty()) continue;
        append(entries, entries.empty() ? "" : ",", group_entry(group, false));
    }
    return concat(R"({"kind":"APIGroupList","apiVersion":"v1","groups":[)", entries, "]}");
}

std::string response_kind(std::string_view group, std::string_view version, std::string_view kind) {
    return concat(R"({"group":")", group, R"(","version":")", version, R"(","kind":")", kind,
                  R"("})");
}

std::string aggregated_resource(const api::Kind& kind) {
    auto out =
        concat(R"({"resource":")", kind.plural, R"(","responseKind":)",
               response_kind(kind.group, kind.version, kind.kind), R"(,"scope":")",
               kind.scope == api::Scope::Namespaced ? "Namespaced" : "Cluster",
               R"(","singularResource":")", kind.singular, R"(","verbs":)", verbs_list(kind.verbs));
    if (!kind.short_names.empty() && !is_alias(kind))
        append(out, R"(,"shortNames":)", text_list(kind.short_names));
    if (!kind.categories.empty() && !is_alias(kind))
        append(out, R"(,"categories":)", text_list(kind.categories));
    if (!kind.subresources.empty()) {
        out += R"(,"subresources":[)";
        bool first = true;
        for (const auto& sub : kind.subresources) {
            const bool own = sub.kind.empty();
            append(out, std::exchange(first, false) ? "" : ",", R"({"subresource":")", sub.name,
                   R"(","responseKind":)",
                   own ? response_kind(kind.group, kind.version, kind.kind)
                       : response_kind(sub.group, sub.version, sub.kind),
                   R"(,"verbs":)", verbs_list(sub.verbs), "}");
        }
        out += ']';
    }
    return out + "}";
}

std::string aggregated(const Catalog& catalog, bool core, std::string_view meta_version) {
    std::string groups;
    for (const auto& group : catalog.groups()) {
        if (group.name.empty() != core) continue;
        append(groups, groups.empty() ? "" : ",", R"({"metadata":{"name":")", group.name,
               R"(","creationTimestamp":null},"versions":[)");
        bool first_version = true;
        for (const auto version : group.versions) {
            append(groups, std::exchange(first_version, false) ? "" : ",", R"({"version":")",
                   version, R"(","resources":[)");
            bool first = true;
            for (const auto& resource : catalog.resources()) {
                if (resource.kind->group != group.name || resource.kind->version != version)
                    continue;
                append(groups, std::exchange(first, false) ? "" : ",",
                       aggregated_resource(*resource.kind));
            }
            groups += R"(],"freshness":"Current"})";
        }
        groups += "]}";
    }
    return concat(R"({"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/)",
                  meta_version, R"(","metadata":{},"items":[)", groups, "]}");
}

// "v2", "v2beta1" or "" for the plain form: the first that the client's Accept names.
std::string_view aggregated_version(const net::Headers& headers) {
    for (const auto line : headers.all("accept")) {
        for (const auto part : split(line, ',')) {
            if (part.find("as=APIGroupDiscoveryList") == std::string_view::npos) {
                if (trim(part) == "application/json") return {};
                continue;
            }
            for (const auto piece : split(part, ';')) {
                if (trim(piece) == "v=v2") return "v2";
                if (trim(piece) == "v=v2beta1") return "v2beta1";
            }
        }
    }
    return {};
}

bool answer_aggregated(Call& call, const Catalog& catalog, bool core) {
    const auto version = aggregated_version(call.request.headers);
    if (version.empty()) return false;
    auto response = json_response(200, aggregated(catalog, core, version));
    response.headers.set(
        "content-type",
        concat("application/json;g=apidiscovery.k8s.io;v=", version, ";as=APIGroupDiscoveryList"));
    response.headers.add("vary", "Accept");
    call.answer(std::move(response));
    return true;
}

}   // namespace

bool serve_discovery(Call& call, const Catalog& catalog) {
    const auto path = std::string_view{call.info.path};
    if (call.request.method != "GET" && call.request.method != "HEAD") return false;
    if (path == "/api") {
        if (answer_aggregated(call, catalog, true)) return true;
        call.answer(json_response(
            200, R"({"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[]})"));
        return true;
    }
    if (path == "/apis") {
        if (answer_aggregated(call, catalog, false)) return true;
        call.answer(json_response(200, group_list(catalog)));
        return true;
    }
    std::string body;
    if (path.starts_with("/api/")) {
        body = resource_list(catalog, "", path.substr(5));
    } else if (path.starts_with("/apis/")) {
        const auto [group, version] = cut(path.substr(6), '/');
        if (version) {
            body = resource_list(catalog, group, *version);
        } else {
            for (const auto& known : catalog.groups())
                if (known.name == group && !group.empty()) body = group_entry(known, true);
        }
    } else {
        return false;
    }
    if (body.empty()) {
        call.answer(text_response(404, "404 page not found\n"));
        return true;
    }
    call.answer(json_response(200, std::move(body)));
    return true;
}

}   // namespace skiff::apiserver
