# Pictures that hold transparency, laid on white: MORE is the folder with cases.json, and "expected" in it.
# For each picture beside it whose pixels differ, expected/NAME.white.png.
import io, json, os, struct, sys, warnings, zlib
import numpy as np
from PIL import Image, ImageOps
warnings.simplefilter('ignore')
more = sys.argv[1]
def chunk(t, d): return struct.pack('>I', len(d)) + t + d + struct.pack('>I', zlib.crc32(t + d))
def png(w, depth, ct, row, trns):
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, 1, depth, ct, 0, 0, 0)) +
            chunk(b'tRNS', trns) + chunk(b'IDAT', zlib.compress(b'\0' + row)) + chunk(b'IEND', b''))
new = {  # tRNS of the depths at which Pillow compares pixels of 8 bits with the chunk's numbers
    'png-grey-1-trns-1.png': png(8, 1, 0, bytes([0b01011010]), struct.pack('>H', 1)),
    'png-grey-2-trns-1.png': png(4, 2, 0, bytes([0b00011011]), struct.pack('>H', 1)),
    'png-grey-4-trns-0.png': png(4, 4, 0, bytes([0x0f, 0x5a]), struct.pack('>H', 0)),
    'png-grey-16-trns-200.png': png(4, 16, 0, struct.pack('>4H', 0, 200, 300, 65535), struct.pack('>H', 200)),
    'png-grey-16-trns-300.png': png(4, 16, 0, struct.pack('>4H', 0, 200, 300, 65535), struct.pack('>H', 300)),
    'png-rgb-16-trns.png': png(2, 16, 2, struct.pack('>6H', 0x102, 0x203, 0x304, 1, 2, 3), struct.pack('>3H', 1, 2, 3)),
}
rng = np.random.default_rng(7)
ramp = np.stack([rng.integers(0, 256, (16, 16)) for _ in range(3)] + [np.arange(256).reshape(16, 16)], -1).astype(np.uint8)
for name, args in {'rgba-ramp.png': {}, 'rgba-ramp.webp': {'lossless': True, 'exact': True}}.items():
    b = io.BytesIO(); Image.fromarray(ramp, 'RGBA').save(b, name.split('.')[1], **args); new[name] = b.getvalue()
whole = json.load(open(more + '/cases.json'))
cases = whole['cases']
known = {c['file'] for c in cases}
for name, data in new.items():
    if name in known: continue
    open(f'{more}/{name}', 'wb').write(data)
    im = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    Image.fromarray(np.asarray(im.convert('RGB'))).save(f'{more}/expected/{name}.png')
    needed = len(data)
    while needed > 1:
        try: Image.open(io.BytesIO(data[:needed - 1])).load()
        except Exception: break
        needed -= 1
    cases.append({'file': name, 'size': list(im.size), 'needed_bytes': needed})
for c in cases:
    im = ImageOps.exif_transpose(Image.open(f"{more}/{c['file']}"))
    rgba = im.convert('RGBA')
    white = Image.alpha_composite(Image.new('RGBA', rgba.size, (255, 255, 255)), rgba).convert('RGB')
    place = f"{more}/expected/{c['file']}.white.png"
    if white.tobytes() != im.convert('RGB').tobytes(): Image.fromarray(np.asarray(white)).save(place); print(c['file'])
json.dump(whole, open(more + '/cases.json', 'w'), indent=1)
