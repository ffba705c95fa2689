// Qwen2.5-VL (transformers: modeling_qwen2_5_vl.py) in the registry of families.
#pragma once

namespace qvl {
class Family;
}

namespace qvl::qwen25vl {

[[nodiscard]] const Family& family();

}  // namespace qvl::qwen25vl
