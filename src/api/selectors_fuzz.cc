#include "api/selectors.h"

#include "base/fuzz.h"

namespace skiff::api {
namespace {

const SortedPairs labels{{"app", "web"}, {"n", "5"}, {"tier", ""}};

// A text says the same as what it is the text of. (An object may name a value twice.)
void check(const LabelSelector& selector) {
    const auto again = LabelSelector::parse(selector.text());
    ASSERT(again && again->matches(labels) == selector.matches(labels));
    const auto third = LabelSelector::parse(again->text());
    ASSERT(third && third->text() == again->text());
}

// The query's texts, and the object.
const fuzz::Target selector{
    "selector", [](std::string_view input) {
        const auto label = LabelSelector::parse(input);
        if (label) check(*label);
        ASSERT(label || label.error().reason == Reason::BadRequest);
        const auto field = FieldSelector::parse(input);
        ASSERT(field || field.error().reason == Reason::BadRequest);
        if (field) (void)field->matches({{"metadata.name", "x"}, {"status.phase", "Running"}});
        const auto document = codec::parse_json(input);
        if (!document || !document->root.is_object()) return;
        const auto object = LabelSelector::from_object(document->root);
        if (object && !object->everything()) check(*object);
    }};

}   // namespace
}   // namespace skiff::api
