#include "ingress/ports.h"

#include <gtest/gtest.h>

#include <set>

namespace skiff::ingress {
namespace {

TEST(IngressPorts, what_is_held_and_what_is_free) {
    struct Row {
        const char* why;
        Ports held;
        std::set<uint16_t> taken;
        Ports have;
        const char* told;
    };
    const Row rows[] = {
        {"all free", {}, {}, {80, 443}, "ports 80 and 443"},
        {"our own are taken by us", {80, 443}, {80, 443}, {80, 443}, "ports 80 and 443"},
        {"one is somebody's", {}, {80}, {0, 443}, "port 443; port 80 is in use by another program"},
        {"the other",
         {80, 0},
         {80, 443},
         {80, 0},
         "port 80; port 443 is in use by another program"},
        {"both", {}, {80, 443}, {}, "ports 80 and 443 are in use by another program"},
    };
    for (const Row& row : rows) {
        const auto have = ports_to_have({80, 443}, row.held,
                                        [&](uint16_t port) { return !row.taken.contains(port); });
        EXPECT_EQ(have, row.have) << row.why;
        EXPECT_EQ(ports_text({80, 443}, have), row.told) << row.why;
    }
}

}   // namespace
}   // namespace skiff::ingress
