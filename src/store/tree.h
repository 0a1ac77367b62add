// The image of one resource: an ordered map from names to objects as a B-tree that copies the path
// it changes. Copying a Tree shares everything, so a copy is a snapshot: it never changes, and any
// number of threads may read it while one thread goes on changing its own copy. A node that only
// the changing copy holds is changed in place, so a batch of writes copies each node at most once.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "store/store.h"

namespace skiff::store {

inline constexpr size_t name_bytes_max = 1024;   // twice what "namespace/name" can be

class Tree {
  public:
    struct Node;
    // A counted reference to a node; the count is inside the node.
    class NodePtr {
      public:
        NodePtr() = default;
        explicit NodePtr(Node* node) : node_{node} {}   // takes the node over
        NodePtr(const NodePtr& other);
        NodePtr(NodePtr&& other) noexcept : node_{std::exchange(other.node_, nullptr)} {}
        NodePtr& operator=(NodePtr other) noexcept {
            std::swap(node_, other.node_);
            return *this;
        }
        ~NodePtr();
        Node* operator->() const { return node_; }
        Node& operator*() const { return *node_; }
        explicit operator bool() const { return node_ != nullptr; }
        bool unique() const;

      private:
        Node* node_ = nullptr;
    };

    ObjectPtr get(std::string_view name) const;
    size_t size() const;
    size_t rank(std::string_view name) const;   // how many names are smaller
    size_t count(std::string_view prefix, const std::optional<std::string>& after) const;
    void scan(std::string_view prefix, const std::optional<std::string>& after,
              const std::function<bool(std::string_view, const ObjectPtr&)>& visit) const;

    // Both return what was there before, null for nothing.
    ObjectPtr put(std::string_view name, ObjectPtr object);
    ObjectPtr remove(std::string_view name);

    size_t memory_bytes() const;   // of nodes and names, without the objects; for tests

  private:
    NodePtr root_;
};

}   // namespace skiff::store
