// What the kinds that make pods from a template have in common.
#pragma once

#include <initializer_list>
#include <string_view>

#include "api/field_errors.h"
#include "codec/json.h"

namespace skiff::api {

// {spec: {template}}: the defaults of pods that hold for templates too.
void default_template(codec::Json& object, codec::Arena& arena);

// A template by itself, as a PodTemplate has it.
void validate_template(const codec::Json& pod_template, const FieldPath& path, Causes& causes);
// A template whose pods are kept running by `kind`: they always restart and have no deadline.
void validate_running_template(const codec::Json& pod_template, std::string_view kind,
                               const FieldPath& path, Causes& causes);
// A LabelSelector that selects something, and the template's pods. `kind` is for the message.
void validate_template_selector(const codec::Json& spec, std::string_view kind,
                                const FieldPath& path, Causes& causes);

// A count of at least 0, or a percentage; absent is fine.
void validate_int_or_percent(const codec::Json& value, const FieldPath& path, Causes& causes);
void validate_not_over_100_percent(const codec::Json& value, const FieldPath& path, Causes& causes);
// 3 of 3 and of "3%".
int64_t int_or_percent_value(const codec::Json& value);

// Each of these members of `object` is at least 0.
void validate_not_negative(const codec::Json& object, std::initializer_list<std::string_view> names,
                           const FieldPath& path, Causes& causes);
// `name` counts some of what `whole` counts. "cannot be greater than status.replicas"
void validate_no_more_than(const codec::Json& status, std::string_view name, std::string_view whole,
                           std::string_view message, const FieldPath& path, Causes& causes);
void validate_collision_count(const codec::Json& status, const codec::Json* old,
                              const FieldPath& path, Causes& causes);

// A new object's status: zero for each of these members, and nothing else.
void clear_status(codec::Json& object, std::initializer_list<std::string_view> zeros,
                  codec::Arena& arena);

}   // namespace skiff::api
