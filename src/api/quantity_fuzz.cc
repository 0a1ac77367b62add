#include "api/quantity.h"

#include "base/fuzz.h"

namespace skiff::api {
namespace {

// The canonical form is the same amount and its own canonical form; sums do not overflow.
const fuzz::Target quantity{"quantity", [](std::string_view input) {
                                const auto [left, right] = fuzz::two_parts(input);
                                const auto amount = Quantity::parse(left);
                                if (!amount) {
                                    ASSERT(amount.error().reason == Reason::Invalid);
                                    return;
                                }
                                const auto text = amount->canonical();
                                const auto again = Quantity::parse(text);
                                ASSERT(again && *again == *amount && again->canonical() == text);
                                (void)amount->value(), (void)amount->milli_value();
                                const auto other = Quantity::parse(right);
                                if (!other) return;
                                (void)(*amount + *other).canonical();
                                (void)(*amount - *other).canonical();
                            }};

}   // namespace
}   // namespace skiff::api
