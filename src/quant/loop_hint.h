// QVL_SAME_ELEMENT_ONLY before a loop: its output and input may be the same array, but each turn reads and
// writes one element only, so that turns may be done side by side.
#pragma once

#if defined(__clang__)
#define QVL_SAME_ELEMENT_ONLY _Pragma("clang loop vectorize(assume_safety)")
#else
#define QVL_SAME_ELEMENT_ONLY _Pragma("GCC ivdep")
#endif
