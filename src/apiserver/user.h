// Who a request comes from, once authentication has said so.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace skiff::apiserver {

struct User {
    std::string name;
    std::string uid;
    std::vector<std::string> groups;
    std::map<std::string, std::vector<std::string>> extra;

    bool in_group(std::string_view group) const {
        return std::ranges::find(groups, group) != groups.end();
    }
    bool anonymous() const { return name == "system:anonymous"; }
};

}   // namespace skiff::apiserver
