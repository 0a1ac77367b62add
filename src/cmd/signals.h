// Waiting for the signals that end a role, on the thread that asked: blocked everywhere else.
#pragma once

namespace skiff::cmd {

// Call before any thread is started.
void block_end_signals();
// Returns the number of the SIGTERM, SIGINT or SIGHUP that came.
int wait_for_end_signal();

}   // namespace skiff::cmd
