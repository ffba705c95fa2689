// The chunks of a PNG file that tell how to turn it. Internal to this layer.
#pragma once

#include "image/decoder.h"

namespace qvl {

// The EXIF orientation (1 to 8, or another number that means nothing) from eXIf, from ImageMagick's text
// chunk "Raw profile type exif" or from XMP, wherever in the file they lie; 1 when there is none or it is
// broken. Compressed text is taken up to 1 MiB, as by Pillow. Throws InputError when a chunk is cut off:
// those behind the pixels, too, may have held the orientation. That the end marker is missing is no fault,
// for Pillow.
[[nodiscard]] int png_orientation(const PictureSource& source);

}  // namespace qvl
