// The cells of `kubectl get` that a template cannot say. A schema column names one with '@'.
//
// A template is text with field paths in braces (codec/jsonpath.h):
//     "{status.phase}"                            one path alone keeps numbers and booleans
//     "{status.readyReplicas|0}/{spec.replicas|0}"    behind '|' what stands for a missing value
//     "{spec.containers[*].image}"                several values are joined by commas
// Without '|' a missing number of the schema is 0 and any other missing value "". Columns of type
// "date" show the age of their value, <unknown> when there is none.
#pragma once

#include <span>
#include <string_view>

#include "api/table.h"
#include "codec/json.h"

namespace skiff::api {

struct NamedPrinter {
    std::string_view name;   // without the '@'
    Printer print;
};

// One array a file printers_<family>.cc: declare its function in printers_families.h and list it in
// printers.cc.

// For printers: the text, or <none> when it is empty.
codec::Json text_or_none(std::string_view text);   // borrows
// The age of an instant as the API writes it; <unknown> when it is empty or none.
std::string age_of(std::string_view rfc3339, WallTime now);

}   // namespace skiff::api
