#include "store/tree.h"

#include <atomic>
#include <utility>
#include <vector>

#include "store/names.h"

namespace skiff::store {
namespace {

constexpr size_t entries_max = 32;    // of a node; a change copies one node a level
constexpr size_t entries_small = 8;   // a node this small joins a neighbour that has room

}   // namespace

// A leaf has objects and their names; an inner node has children, and its names are the bounds
// between them: what is below child i is >= names[i - 1] and < names[i].
struct Tree::Node {
    std::atomic<uint32_t> references{1};
    uint32_t below = 0;   // objects in and below this node
    Names names;
    std::vector<ObjectPtr> objects;
    std::vector<NodePtr> children;

    Node() = default;
    Node(const Node& other)
        : below{other.below},
          names{other.names},
          objects{other.objects},
          children{other.children} {}

    bool leaf() const { return children.empty(); }
    size_t entries() const { return leaf() ? objects.size() : children.size(); }
    size_t child_of(std::string_view name) const { return names.upper_bound(name); }
};

Tree::NodePtr::NodePtr(const NodePtr& other) : node_{other.node_} {
    if (node_) node_->references.fetch_add(1, std::memory_order_relaxed);
}

Tree::NodePtr::~NodePtr() {
    if (node_ && node_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete node_;
}

bool Tree::NodePtr::unique() const {
    return node_ && node_->references.load(std::memory_order_acquire) == 1;
}

namespace {

using Node = Tree::Node;
using NodePtr = Tree::NodePtr;

// The node for changing: only called when all above it is this tree's alone, so a count of one
// means that nobody else can reach it.
Node& own(NodePtr& node) {
    if (!node.unique()) node = NodePtr{new Node{*node}};
    return *node;
}

// Keeps the vector's memory at its size: nodes live long and change seldom.
template <class T>
void insert_at(std::vector<T>& items, size_t index, T item) {
    std::vector<T> grown;
    grown.reserve(items.size() + 1);
    for (size_t i = 0; i < index; ++i) grown.push_back(std::move(items[i]));
    grown.push_back(std::move(item));
    for (size_t i = index; i < items.size(); ++i) grown.push_back(std::move(items[i]));
    items = std::move(grown);
}

template <class T>
void erase_at(std::vector<T>& items, size_t index) {
    items.erase(items.begin() + static_cast<ptrdiff_t>(index));
    items.shrink_to_fit();
}

template <class T>
std::vector<T> take_from(std::vector<T>& items, size_t first) {
    std::vector<T> taken{std::make_move_iterator(items.begin() + static_cast<ptrdiff_t>(first)),
                         std::make_move_iterator(items.end())};
    items.resize(first);
    items.shrink_to_fit();
    return taken;
}

void count_below(Node& node) {
    node.below = static_cast<uint32_t>(node.objects.size());
    for (const auto& child : node.children) node.below += child->below;
}

std::string name_at(const Names& names, size_t index) {
    std::string name{names.common()};
    name += names.rest(index);
    return name;
}

Names with(const Names& names, size_t index, std::string_view name) {
    const size_t count = names.size();
    return NamesBuilder{}.add(names, 0, index).add(name).add(names, index, count).build();
}

Names without(const Names& names, size_t index) {
    return NamesBuilder{}.add(names, 0, index).add(names, index + 1, names.size()).build();
}

Names part(const Names& names, size_t first, size_t last) {
    return NamesBuilder{}.add(names, first, last).build();
}

struct Split {
    NodePtr right;   // null: the node was not split
    std::string bound;
};

// Splits a node that has grown too wide. Where names are added in order (a load, a counter in the
// name) the left part stays full.
Split split(Node& node, size_t changed) {
    const size_t entries = node.entries();
    if (entries <= entries_max) return {};
    const size_t first = changed + 1 == entries ? entries - 1 : entries / 2;
    Split made{.right = NodePtr{new Node}};
    Node& right = *made.right;
    if (node.leaf()) {
        made.bound = name_at(node.names, first);
        right.names = part(node.names, first, entries);
        node.names = part(node.names, 0, first);
        right.objects = take_from(node.objects, first);
    } else {
        made.bound = name_at(node.names, first - 1);
        right.names = part(node.names, first, entries - 1);
        node.names = part(node.names, 0, first - 1);
        right.children = take_from(node.children, first);
    }
    count_below(right);
    count_below(node);
    return made;
}

Split put_in(NodePtr& at, std::string_view name, ObjectPtr& object, ObjectPtr& before) {
    Node& node = own(at);
    if (node.leaf()) {
        const size_t index = node.names.lower_bound(name);
        if (node.names.is(index, name)) {
            before = std::exchange(node.objects[index], std::move(object));
            return {};
        }
        node.names = with(node.names, index, name);
        insert_at(node.objects, index, std::move(object));
        ++node.below;
        return split(node, index);
    }
    const size_t child = node.child_of(name);
    Split below = put_in(node.children[child], name, object, before);
    if (!before) ++node.below;
    if (!below.right) return {};
    node.names = with(node.names, child, below.bound);
    insert_at(node.children, child + 1, std::move(below.right));
    return split(node, child + 1);
}

// Joins child `left` and the one after it if they fit into one node with room to grow.
void join(Node& node, size_t left) {
    if (left + 1 >= node.children.size()) return;
    const Node& source = *node.children[left + 1];
    if (node.children[left]->entries() + source.entries() > entries_max * 3 / 4) return;
    Node& target = own(node.children[left]);
    NamesBuilder names;
    names.add(target.names, 0, target.names.size());
    if (!source.leaf()) names.add(name_at(node.names, left));
    target.names = names.add(source.names, 0, source.names.size()).build();
    target.objects.insert(target.objects.end(), source.objects.begin(), source.objects.end());
    target.children.insert(target.children.end(), source.children.begin(), source.children.end());
    count_below(target);
    node.names = without(node.names, left);
    erase_at(node.children, left + 1);
}

// The name is there.
void remove_in(NodePtr& at, std::string_view name, ObjectPtr& before) {
    Node& node = own(at);
    --node.below;
    if (node.leaf()) {
        const size_t index = node.names.lower_bound(name);
        before = std::move(node.objects[index]);
        node.names = without(node.names, index);
        erase_at(node.objects, index);
        return;
    }
    const size_t child = node.child_of(name);
    remove_in(node.children[child], name, before);
    const size_t left = node.children[child]->entries();
    if (left == 0) {
        if (node.names.size() > 0) node.names = without(node.names, child == 0 ? 0 : child - 1);
        erase_at(node.children, child);
    } else if (left < entries_small) {
        join(node, child);
        if (child > 0) join(node, child - 1);
    }
}

struct Scan {
    std::string_view prefix;
    std::string_view from;
    bool after = false;   // true: names > from, false: >= from
    const std::function<bool(std::string_view, const ObjectPtr&)>& visit;
    std::string name;

    bool node(const Node& node, bool bounded) {
        if (!node.leaf()) {
            const size_t first = bounded ? node.child_of(from) : 0;
            for (size_t i = first; i < node.children.size(); ++i)
                if (!this->node(*node.children[i], bounded && i == first)) return false;
            return true;
        }
        size_t i = 0;
        if (bounded) i = after ? node.names.upper_bound(from) : node.names.lower_bound(from);
        name = node.names.common();
        const size_t common = name.size();
        for (; i < node.objects.size(); ++i) {
            name.resize(common);
            name += node.names.rest(i);
            if (!name.starts_with(prefix)) return false;
            if (!visit(name, node.objects[i])) return false;
        }
        return true;
    }
};

// The least text greater than all that start with the prefix; absent: there is none.
std::optional<std::string> end_of(std::string_view prefix) {
    std::string end{prefix};
    while (!end.empty() && end.back() == '\xff') end.pop_back();
    if (end.empty()) return std::nullopt;
    end.back() = static_cast<char>(end.back() + 1);
    return end;
}

size_t memory_of(const Node& node) {
    size_t bytes = sizeof node + node.names.memory_bytes() +
                   node.objects.capacity() * sizeof(ObjectPtr) +
                   node.children.capacity() * sizeof(NodePtr);
    for (const auto& child : node.children) bytes += memory_of(*child);
    return bytes;
}

}   // namespace

ObjectPtr Tree::get(std::string_view name) const {
    if (!root_) return nullptr;
    const Node* node = &*root_;
    while (!node->leaf()) node = &*node->children[node->child_of(name)];
    const size_t index = node->names.lower_bound(name);
    return node->names.is(index, name) ? node->objects[index] : nullptr;
}

size_t Tree::size() const { return root_ ? root_->below : 0; }

size_t Tree::rank(std::string_view name) const {
    if (!root_) return 0;
    size_t smaller = 0;
    const Node* node = &*root_;
    while (!node->leaf()) {
        const size_t child = node->child_of(name);
        for (size_t i = 0; i < child; ++i) smaller += node->children[i]->below;
        node = &*node->children[child];
    }
    return smaller + node->names.lower_bound(name);
}

size_t Tree::count(std::string_view prefix, const std::optional<std::string>& after) const {
    const auto end = end_of(prefix);
    const size_t last = end ? rank(*end) : size();
    size_t first = rank(prefix);
    if (after && *after >= prefix) first = rank(*after) + (get(*after) ? 1 : 0);
    return last > first ? last - first : 0;
}

void Tree::scan(std::string_view prefix, const std::optional<std::string>& after,
                const std::function<bool(std::string_view, const ObjectPtr&)>& visit) const {
    if (!root_) return;
    const bool past = after && *after >= prefix;
    Scan{.prefix = prefix, .from = past ? *after : prefix, .after = past, .visit = visit}.node(
        *root_, true);
}

ObjectPtr Tree::put(std::string_view name, ObjectPtr object) {
    if (!root_) root_ = NodePtr{new Node};
    ObjectPtr before;
    Split made = put_in(root_, name, object, before);
    if (made.right) {
        NodePtr top{new Node};
        top->names = NamesBuilder{}.add(made.bound).build();
        top->children.reserve(2);
        top->children.push_back(std::move(root_));
        top->children.push_back(std::move(made.right));
        count_below(*top);
        root_ = std::move(top);
    }
    return before;
}

ObjectPtr Tree::remove(std::string_view name) {
    ObjectPtr before;
    if (!get(name)) return before;
    remove_in(root_, name, before);
    while (root_ && !root_->leaf() && root_->children.size() == 1) {
        NodePtr only = root_->children.front();
        root_ = std::move(only);
    }
    if (root_ && root_->entries() == 0) root_ = NodePtr{};
    return before;
}

size_t Tree::memory_bytes() const { return root_ ? memory_of(*root_) : 0; }

View::View(std::shared_ptr<const Tree> tree, Revision revision)
    : tree_{std::move(tree)}, revision_{revision} {}

ObjectPtr View::get(std::string_view name) const { return tree_ ? tree_->get(name) : nullptr; }
size_t View::size() const { return tree_ ? tree_->size() : 0; }
size_t View::count(std::string_view prefix) const { return remaining(prefix, std::nullopt); }

size_t View::remaining(std::string_view prefix, const std::optional<std::string>& after) const {
    return tree_ ? tree_->count(prefix, after) : 0;
}

void View::scan(std::string_view prefix, const std::optional<std::string>& after,
                const std::function<bool(std::string_view, const ObjectPtr&)>& visit) const {
    if (tree_) tree_->scan(prefix, after, visit);
}

}   // namespace skiff::store
