#include "agent/image_name.h"
#include "agent/registry_auth.h"
#include "base/fuzz.h"

namespace skiff::agent {
namespace {

// What is understood is written so that it is understood as the same.
void try_name(std::string_view input) {
    (void)default_pull_policy(input);
    const auto name = parse_image_name(input);
    if (!name) return;
    const auto again = parse_image_name(name->text());
    ASSERT(again && again->text() == name->text() && again->registry == name->registry);
}

void try_docker_config(std::string_view input) {
    static const ImageName wanted = parse_image_name("registry.example:5000/a/b:1").value();
    (void)registry_auths({std::string{input}}, wanted);
    (void)registry_matches(input, wanted);
}

const fuzz::Target image{"image", [](std::string_view input) {
                             try_name(input);
                             try_docker_config(input);
                         }};

}   // namespace
}   // namespace skiff::agent
