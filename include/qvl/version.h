// The version of this build of qvl (read by CMakeLists.txt too).
#pragma once

#define QVL_VERSION "0.1.0"
