// The program's entry: wiring only, the verbs are beside it.
#include "cmd/commands.h"

int main(int argc, char** argv) { return skiff::cmd::run(argc, argv); }
