// The typed halves of informer.h.
#pragma once
