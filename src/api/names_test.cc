#include "api/names.h"

#include <gtest/gtest.h>

namespace skiff::api {
namespace {

struct Row {
    std::string value;
    std::string_view says;   // a part of the message; "" good
};

template <class Check>
void expect_rows(std::initializer_list<Row> rows, Check check) {
    for (const auto& row : rows) {
        const std::string message = check(row.value);
        if (row.says.empty())
            EXPECT_EQ(message, "") << row.value;
        else
            EXPECT_NE(message.find(row.says), message.npos) << row.value << ": " << message;
    }
}

TEST(ApiNames, labels_and_subdomains) {
    expect_rows({{"a", ""},
                 {"my-name", ""},
                 {"123", ""},
                 {std::string(63, 'a'), ""},
                 {std::string(64, 'a'), "must be no more than 63 characters"},
                 {"a.b", "must not contain dots"},
                 {"", "a lowercase RFC 1123 label must consist of"},
                 {"-a", "must start and end with"},
                 {"a-", "must start and end with"},
                 {"A",
                  "(e.g. 'my-name',  or '123-abc', regex used for validation is "
                  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"},
                 {"a_b", "a lowercase RFC 1123 label"}},
                check_dns1123_label);
    expect_rows({{"a.b-c.1", ""},
                 {std::string(253, 'a'), ""},
                 {std::string(254, 'a'), "must be no more than 253 characters"},
                 {"a..b", "a lowercase RFC 1123 subdomain must consist of"},
                 {".a", "subdomain"},
                 {"a.", "subdomain"},
                 {"", "subdomain"},
                 {"Bad_Name",
                  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                  "characters, '-' or '.', and must start and end with an alphanumeric character "
                  "(e.g. 'example.com', regex used for validation is "
                  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"}},
                check_dns1123_subdomain);
    expect_rows({{"a1", ""}, {"1a", "a DNS-1035 label"}, {"", "a DNS-1035 label"}},
                check_dns1035_label);
}

TEST(ApiNames, label_keys_and_values) {
    expect_rows({{"app", ""},
                 {"example.com/My_name.x", ""},
                 {"/a", "prefix part must be non-empty"},
                 {"a/", "name part must be non-empty"},
                 {"A_/a", "prefix part a lowercase RFC 1123 subdomain"},
                 {"a/b/c",
                  "with an optional DNS subdomain prefix and '/' (e.g. "
                  "'example.com/MyName')"},
                 {std::string(64, 'a'), "name part must be no more than 63 characters"},
                 {"a b", "name part must consist of alphanumeric characters"}},
                check_qualified_name);
    expect_rows({{"", ""},
                 {"Va_l.ue-1", ""},
                 {"-x", "a valid label must be an empty string or consist of"},
                 {std::string(64, 'a'), "must be no more than 63 characters"}},
                check_label_value);
    expect_rows({{"system:node", ""},
                 {".", "may not be '.'"},
                 {"..", "may not be '..'"},
                 {"a/b", "may not contain '/'"},
                 {"a%b", "may not contain '%'"}},
                check_path_segment);
}

TEST(ApiNames, formats_of_fields) {
    const auto of = [](Format format) {
        return [format](std::string_view value) { return check_format(format, value); };
    };
    expect_rows({{"http", ""},
                 {"1234", "must contain at least one letter"},
                 {"http--x", "must not contain consecutive hyphens"},
                 {"-http", "must not begin or end with a hyphen"},
                 {"HTTP", "must contain only alpha-numeric characters (a-z, 0-9)"},
                 {"", "must contain only"},
                 {"abcdefghijklmnop", "must be no more than 15 characters"}},
                of(Format::PortName));
    expect_rows({{"1", ""},
                 {"65535", ""},
                 {"0", "must be between 1 and 65535, inclusive"},
                 {"65536", "inclusive"},
                 {"x", "inclusive"}},
                of(Format::PortNumber));
    expect_rows({{"10.0.0.1", ""},
                 {"::1", ""},
                 {"10.0.0", "must be a valid IP address"},
                 {"", "must be a valid IP address"}},
                of(Format::Ip));
    expect_rows({{"10.0.0.0/8", ""},
                 {"fd00::/64", ""},
                 {"10.0.0.0/33", "must be a valid CIDR"},
                 {"10.0.0.0", "must be a valid CIDR"},
                 {"10.0.0.0/", "must be a valid CIDR"}},
                of(Format::Cidr));
    expect_rows({{"MY_VAR", ""},
                 {"my.var-1", ""},
                 {"a=b", "other than '='"},
                 {"", "non-empty"},
                 {"a\n", "printable"}},
                of(Format::EnvVarName));
    expect_rows({{"a.b_C-1", ""},
                 {"..", "must not be '..'"},
                 {"..a", "must not start with '..'"},
                 {"a/b", "a valid config key"},
                 {"", "a valid config key"},
                 {std::string(254, 'a'), "must be no more than 253"}},
                of(Format::ConfigMapKey));
    expect_rows({{"/a", ""}, {"a", "must be an absolute path"}}, of(Format::AbsolutePath));
    expect_rows({{"123e4567-e89b-12d3-a456-426614174000", ""}, {"123", "must be a UUID"}},
                of(Format::Uuid));
}

}   // namespace
}   // namespace skiff::api
