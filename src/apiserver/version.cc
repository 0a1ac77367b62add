#include "apiserver/version.h"

#include "base/text.h"

namespace skiff::apiserver {

std::string version_json() {
    return concat(
        R"({"major":"1","minor":"33","gitVersion":")", kubernetes_version, "+skiff.", skiff_version,
        R"(","gitCommit":"","gitTreeState":"clean","buildDate":"1970-01-01T00:00:00Z","goVersion":"c++23","compiler":"gcc",)"
        R"("platform":"linux/)",
#if defined(__aarch64__)
        "arm64",
#else
        "amd64",
#endif
        R"("})");
}

}   // namespace skiff::apiserver
