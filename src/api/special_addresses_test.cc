#include "api/special_addresses.h"

#include <gtest/gtest.h>

namespace skiff::api {
namespace {

TEST(SpecialAddresses, those_that_lead_elsewhere_are_refused_in_every_spelling) {
    struct {
        const char* ip;
        const char* problem;   // in it; "": may be used
    } rows[] = {
        {"10.0.0.1", ""},
        {"2001:db8::1", ""},
        {"::2", ""},
        {"169.253.1.1", ""},
        {"224.0.1.1", ""},
        {"no address", ""},
        {"0.0.0.0", "unspecified"},
        {"::", "unspecified"},
        {"::ffff:0.0.0.0", "unspecified"},
        {"127.0.0.1", "loopback"},
        {"127.255.0.9", "loopback"},
        {"::1", "loopback"},
        {"0:0:0:0:0:0:0:1", "loopback"},
        {"::ffff:127.0.0.1", "loopback"},
        {"169.254.169.254", "link-local range"},
        {"::ffff:a9fe:a9fe", "link-local range"},
        {"fe80::1", "link-local range"},
        {"febf::1", "link-local range"},
        {"224.0.0.251", "link-local multicast"},
        {"ff02::fb", "link-local multicast"},
        {"ff12::1", "link-local multicast"},
    };
    for (const auto& row : rows) {
        Causes causes;
        validate_no_special_address(row.ip, FieldPath{"ip"}, causes);
        if (!*row.problem) {
            EXPECT_TRUE(causes.empty()) << row.ip;
            continue;
        }
        ASSERT_EQ(causes.size(), 1u) << row.ip;
        EXPECT_NE(causes[0].message.find(row.problem), std::string::npos) << causes[0].message;
    }
}

}   // namespace
}   // namespace skiff::api
