#include "agent/image_name.h"

#include <algorithm>

#include "base/text.h"

namespace skiff::agent {

namespace {

bool all_of(std::string_view text, auto&& good) {
    return !text.empty() && std::ranges::all_of(text, good);
}

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// A component of the path: letters and digits, joined by single '.', '_', '__' or any '-'.
bool is_component(std::string_view text) {
    return all_of(
               text,
               [](char c) { return is_lower_or_digit(c) || c == '.' || c == '_' || c == '-'; }) &&
           is_lower_or_digit(text.front()) && is_lower_or_digit(text.back());
}

bool is_tag(std::string_view text) {
    const auto word = [](char c) {
        return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return text.size() <= 128 && !text.empty() && word(text.front()) &&
           all_of(text, [&](char c) { return word(c) || c == '.' || c == '-'; });
}

bool is_digest(std::string_view text) {
    const auto [algorithm, value] = cut(text, ':');
    return value && !algorithm.empty() && value->size() >= 32 &&
           all_of(*value, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}   // namespace

std::string ImageName::text() const {
    std::string out = concat(registry, "/", repository);
    if (!tag.empty()) append(out, ":", tag);
    if (!digest.empty()) append(out, "@", digest);
    return out;
}

Result<ImageName> parse_image_name(std::string_view text) {
    const auto wrong = [&](std::string_view why) {
        return fail(Reason::Invalid, concat("couldn't parse image name \"", text, "\": ", why));
    };
    ImageName name;
    std::string_view rest = text;
    if (const size_t at = rest.find('@'); at != std::string_view::npos) {
        name.digest = rest.substr(at + 1);
        rest = rest.substr(0, at);
        if (!is_digest(name.digest)) return wrong("invalid reference format");
    }
    const size_t slash = rest.rfind('/');
    const size_t colon = rest.find(':', slash == std::string_view::npos ? 0 : slash);
    if (colon != std::string_view::npos) {
        name.tag = rest.substr(colon + 1);
        rest = rest.substr(0, colon);
        if (!is_tag(name.tag)) return wrong("invalid reference format");
    }
    // The first part is a registry only if it looks like a host.
    const size_t first = rest.find('/');
    const std::string_view head = rest.substr(0, first);
    if (first != std::string_view::npos &&
        (head.find_first_of(".:") != std::string_view::npos || head == "localhost")) {
        name.registry = head == "index.docker.io" ? "docker.io" : std::string{head};
        rest.remove_prefix(first + 1);
    } else {
        name.registry = "docker.io";
    }
    for (const auto component : split(rest, '/')) {
        if (is_component(component)) continue;
        const bool upper =
            std::ranges::any_of(component, [](char c) { return c >= 'A' && c <= 'Z'; });
        return wrong(upper ? "invalid reference format: repository name must be lowercase"
                           : "invalid reference format");
    }
    name.repository = rest;
    if (name.registry == "docker.io" && rest.find('/') == std::string_view::npos) {
        name.repository = concat("library/", rest);
    }
    if (name.tag.empty() && name.digest.empty()) name.tag = "latest";
    return name;
}

std::string_view default_pull_policy(std::string_view image) {
    const auto name = parse_image_name(image);
    return name && name->tag == "latest" && name->digest.empty() ? "Always" : "IfNotPresent";
}

}   // namespace skiff::agent
