import io, json, os, random, struct, subprocess, sys, warnings, zlib
import numpy as np
from PIL import Image, ImageOps
warnings.simplefilter('ignore')
out = sys.argv[1]
os.makedirs(out + '/expected', exist_ok=True)
rng = np.random.default_rng(5)
files = {}

# PNG ------------------------------------------------------------------------------------------------------------
def chunk(t, d): return struct.pack('>I', len(d)) + t + d + struct.pack('>I', zlib.crc32(t + d))
def pack_rows(a, depth):  # a: [h, w, channels] of samples
    rows = []
    for r in a:
        v = r.reshape(-1)
        if depth == 16: rows.append(b''.join(struct.pack('>H', int(x)) for x in v))
        elif depth == 8: rows.append(bytes(int(x) for x in v))
        else:
            bits = ''.join(format(int(x), '0%db' % depth) for x in v)
            bits += '0' * (-len(bits) % 8)
            rows.append(bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8)))
    return rows
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]  # y0 x0 dy dx
def png(a, depth, ct, before=b'', after=b'', interlace=0, palette=None):
    h, w = a.shape[:2]
    parts = [a] if not interlace else [a[y0::dy, x0::dx] for y0, x0, dy, dx in PASSES]
    raw = b''.join(b'\0' + r for p in parts if p.size for r in pack_rows(p, depth))
    plte = chunk(b'PLTE', palette) if palette is not None else b''
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, depth, ct, 0, 0, interlace)) +
            chunk(b'gAMA', struct.pack('>I', 100000)) + plte + before + chunk(b'IDAT', zlib.compress(raw)) + after + chunk(b'IEND', b''))
channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
names = {0: 'grey', 2: 'rgb', 3: 'palette', 4: 'grey-alpha', 6: 'rgb-alpha'}
for ct, depths in {0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]}.items():
    for depth in depths:
        for interlace in (0, 1):
            a = rng.integers(0, 1 << depth, (11, 13, channels[ct]))
            if ct == 0 and depth == 16: a = np.where(rng.random(a.shape) < .5, a % 300, a)
            pal = rng.integers(0, 256, 3 << depth, dtype=np.uint8).tobytes() if ct == 3 else None
            files[f"png-{names[ct]}-{depth}{'-interlaced' if interlace else ''}.png"] = png(a, depth, ct, interlace=interlace, palette=pal)
a8 = rng.integers(0, 256, (5, 7, 3))
g8 = rng.integers(0, 256, (5, 7, 1))
files['png-palette-trns.png'] = png(g8 % 16, 4, 3, before=chunk(b'tRNS', bytes([0, 128, 255])), palette=rng.integers(0, 256, 48, dtype=np.uint8).tobytes())
files['png-palette-short.png'] = png(g8, 8, 3, palette=rng.integers(0, 256, 3 * 100, dtype=np.uint8).tobytes())
files['png-rgb-trns.png'] = png(a8, 8, 2, before=chunk(b'tRNS', struct.pack('>3H', *[int(x) for x in a8[1, 1]])))
files['png-grey-trns.png'] = png(g8, 8, 0, before=chunk(b'tRNS', struct.pack('>H', int(g8[2, 2, 0]))))
files['png-interlaced-1x1.png'] = png(a8[:1, :1], 8, 2, interlace=1)
files['png-interlaced-3x2.png'] = png(g8[:2, :3] % 4, 2, 0, interlace=1)
def exif(value, order='<', typ=3, count=1, tag=274):
    fmt = {3: 'HH', 4: 'L', 1: 'BBBB', 8: 'hh', 9: 'l'}[typ]
    data = struct.pack(order + fmt, *([value] + [0] * (len(fmt) - 1)))
    return (b'II*\0' if order == '<' else b'MM\0*') + struct.pack(order + 'LHHHL', 8, 1, tag, typ, count) + data + struct.pack(order + 'L', 0)
def raw_profile(e): return ('\nexif\n%8d\n' % len(e) + '\n'.join(e.hex()[i:i + 72] for i in range(0, 2 * len(e), 72)) + '\n').encode()
xmp = lambda n, form: (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>' if form else b'<x:xmpmeta><tiff:Orientation>%d</tiff:Orientation></x:xmpmeta>') % n
files['png-exif-6.png'] = png(a8, 8, 2, before=chunk(b'eXIf', exif(6)))
files['png-exif-behind-8.png'] = png(a8, 8, 2, after=chunk(b'eXIf', exif(8, '>')))
files['png-raw-profile-5.png'] = png(a8, 8, 2, before=chunk(b'zTXt', b'Raw profile type exif\0\0' + zlib.compress(raw_profile(exif(5)))))
files['png-raw-profile-text-7.png'] = png(a8, 8, 2, before=chunk(b'tEXt', b'Raw profile type exif\0' + raw_profile(b'Exif\0\0' + exif(7))))
files['png-xmp-6.png'] = png(a8, 8, 2, before=chunk(b'iTXt', b'XML:com.adobe.xmp\0\0\0\0\0' + xmp(6, 1)))
files['png-xmp-compressed-8.png'] = png(a8, 8, 2, before=chunk(b'iTXt', b'XML:com.adobe.xmp\0\1\0en\0\0' + zlib.compress(xmp(8, 0))))
files['png-raw-profile-broken.png'] = png(a8, 8, 2, before=chunk(b'zTXt', b'Raw profile type exif\0\0' + zlib.compress(raw_profile(exif(5)))[:-9]))
files['png-exif-2-not-xmp.png'] = png(a8, 8, 2, before=chunk(b'iTXt', b'XML:com.adobe.xmp\0\0\0\0\0' + xmp(6, 1)) + chunk(b'eXIf', exif(2)))

# JPEG -----------------------------------------------------------------------------------------------------------
for kind in ['ycck', 'ycck-420', 'cmyk-no-adobe', 'rgb', '440', '411', '410', '422', 'odd-sampling', 'restart', 'arithmetic', 'progressive-420']:
    subprocess.run([sys.argv[2], out + '/x.jpg', kind], check=True)
    files[f'jpeg-{kind}.jpg'] = open(out + '/x.jpg', 'rb').read()
smooth = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)).resize((30, 22), Image.BICUBIC)
def save(im, fmt, **k):
    b = io.BytesIO(); im.save(b, fmt, **k); return b.getvalue()
base = save(smooth, 'JPEG', quality=80)
def with_app1(*payloads): return base[:2] + b''.join(b'\xff\xe1' + struct.pack('>H', len(p) + 2) + p for p in payloads) + base[2:]
E = b'Exif\0\0'
for n in range(0, 10): files[f'jpeg-exif-{n}.jpg'] = with_app1(E + exif(n, '<>'[n % 2]))
files['jpeg-exif-long-6.jpg'] = with_app1(E + exif(6, '>', 4))
files['jpeg-exif-signed-5.jpg'] = with_app1(E + exif(5, '>', 9))
files['jpeg-exif-byte-6.jpg'] = with_app1(E + exif(6, '<', 1))
files['jpeg-exif-count-2.jpg'] = with_app1(E + exif(6, '<', 3, 2))
files['jpeg-exif-count-0.jpg'] = with_app1(E + exif(6, '<', 3, 0))
files['jpeg-exif-twice.jpg'] = with_app1(E + E + exif(6))
e = exif(6)
files['jpeg-exif-in-parts.jpg'] = with_app1(E + e[:15], E + e[15:])
files['jpeg-exif-cut.jpg'] = with_app1(E + e[:21])
files['jpeg-exif-cut-behind.jpg'] = with_app1(E + e[:22])
two = b'II*\0' + struct.pack('<LH', 8, 2) + struct.pack('<HHLL', 271, 2, 20, 30) + struct.pack('<HHLHH', 274, 3, 1, 6, 0) + struct.pack('<L', 0)
files['jpeg-exif-maker-cut.jpg'] = with_app1(E + two)
files['jpeg-exif-maker-huge.jpg'] = with_app1(E + two.replace(struct.pack('<HHLL', 271, 2, 20, 30), struct.pack('<HHLL', 271, 2, 2000, 30)))
files['jpeg-exif-first-of-two.jpg'] = with_app1(E + b'II*\0' + struct.pack('<LH', 8, 2) + struct.pack('<HHLHH', 274, 3, 1, 8, 0) + struct.pack('<HHLHH', 274, 3, 1, 3, 0) + struct.pack('<L', 0))
files['jpeg-xmp-8.jpg'] = with_app1(b'http://ns.adobe.com/xap/1.0/\0' + xmp(8, 0))
files['jpeg-exif-without-xmp-3.jpg'] = with_app1(E + exif(6, tag=305), b'http://ns.adobe.com/xap/1.0/\0' + xmp(3, 1))
files['jpeg-progressive-grey.jpg'] = save(smooth.convert('L'), 'JPEG', progressive=True)
files['jpeg-junk-behind.jpg'] = base + b'junk' * 10
files['jpeg-mpo.jpg'] = save(smooth, 'MPO', save_all=True, append_images=[smooth.rotate(180)])

# WebP -----------------------------------------------------------------------------------------------------------
alpha = np.dstack([np.array(smooth), rng.integers(0, 2, (22, 30), dtype=np.uint8) * 255])
files['webp-lossy-alpha.webp'] = save(Image.fromarray(alpha), 'WEBP', quality=70)
files['webp-lossless-hidden.webp'] = save(Image.fromarray(alpha), 'WEBP', lossless=True, exact=True)
files['webp-lossless-alpha.webp'] = save(Image.fromarray(alpha), 'WEBP', lossless=True)
for n in (2, 5, 6): files[f'webp-exif-{n}.webp'] = save(smooth, 'WEBP', exif=exif(n))
files['webp-exif-prefix-7.webp'] = save(smooth, 'WEBP', exif=E + exif(7))
files['webp-xmp-6.webp'] = save(smooth, 'WEBP', xmp=xmp(6, 1))
files['webp-animated.webp'] = save(smooth, 'WEBP', save_all=True, append_images=[smooth.rotate(180)], lossless=True)
files['webp-animated-alpha.webp'] = save(Image.fromarray(alpha), 'WEBP', save_all=True, append_images=[Image.fromarray(alpha).rotate(180)], quality=60)
still = save(smooth.crop((0, 0, 10, 8)), 'WEBP', lossless=True)[12:]
def riff(*c): body = b'WEBP' + b''.join(c); return b'RIFF' + struct.pack('<L', len(body)) + body
def wchunk(t, d): return t + struct.pack('<L', len(d)) + d + b'\0' * (len(d) % 2)
u24 = lambda n: struct.pack('<L', n)[:3]
files['webp-animated-offset.webp'] = riff(wchunk(b'VP8X', bytes([0x12, 0, 0, 0]) + u24(19) + u24(14)), wchunk(b'ANIM', struct.pack('<LH', 0xff804020, 0)),
    wchunk(b'ANMF', u24(3) + u24(2) + u24(9) + u24(7) + u24(100) + b'\0' + still))

# GIF ------------------------------------------------------------------------------------------------------------
def lzw(indices, bits):  # never grows the code: a clear code before every few pixels
    code_bits, clear, acc, n, data = bits + 1, 1 << bits, 0, 0, bytearray()
    codes = []
    for i, x in enumerate(indices):
        if i % ((1 << bits) - 2) == 0: codes.append(clear)
        codes.append(x)
    for c in codes + [clear + 1]:
        acc |= c << n; n += code_bits
        while n >= 8: data.append(acc & 255); acc >>= 8; n -= 8
    if n: data.append(acc)
    return bytes([bits]) + b''.join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255)) + b'\0'
def gif(screen, frame, indices, bits, global_=None, local=None, transparent=None, interlace=0, background=0):
    flags = lambda p: 0 if p is None else 128 | (len(p).bit_length() - 2)
    pal = lambda p: b'' if p is None else b''.join(bytes(c) for c in p)
    gce = b'' if transparent is None else b'!\xf9\x04\x01\0\0' + bytes([transparent]) + b'\0'
    return (b'GIF89a' + struct.pack('<HHBBB', *screen, flags(global_), background, 0) + pal(global_) + b'!\xfe\x05hello\0' + gce + b',' + struct.pack('<HHHHB', *frame, flags(local) | 64 * interlace) + pal(local) + lzw(indices, bits) + b';')
colors = lambda n: [tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in range(n)]
ramp = [(i, i, i) for i in range(16)]
px = lambda n, top: [int(v) for v in rng.integers(0, top, n)]
files['gif-offset.gif'] = gif((12, 10), (3, 2, 7, 5), px(35, 16), 4, colors(16), background=3)
files['gif-offset-transparent.gif'] = gif((12, 10), (3, 2, 7, 5), px(35, 16), 4, colors(16), transparent=5)
files['gif-over-screen.gif'] = gif((6, 4), (3, 2, 7, 5), px(35, 16), 4, colors(16))
files['gif-no-screen.gif'] = gif((0, 0), (0, 0, 7, 5), px(35, 16), 4, colors(16))
files['gif-interlaced.gif'] = gif((7, 19), (0, 0, 7, 19), px(133, 16), 4, colors(16), interlace=1)
files['gif-local.gif'] = gif((7, 5), (0, 0, 7, 5), px(35, 16), 4, colors(4), colors(16))
files['gif-beyond-palette.gif'] = gif((7, 5), (0, 0, 7, 5), px(35, 16), 4, colors(4))
files['gif-ramp.gif'] = gif((9, 9), (1, 1, 7, 5), px(35, 16), 4, ramp)
files['gif-local-ramp.gif'] = gif((9, 9), (1, 1, 7, 5), px(35, 16), 4, colors(16), ramp)
files['gif-short-ramp.gif'] = gif((9, 9), (1, 1, 7, 5), px(35, 16), 4, ramp[:4], transparent=9)
files['gif-no-palette.gif'] = gif((9, 9), (1, 1, 7, 5), px(35, 256), 8)
files['gif-transparent-beyond.gif'] = gif((9, 9), (1, 1, 7, 5), px(35, 16), 4, colors(16), transparent=200)
files['gif-animated.gif'] = save(smooth, 'GIF', save_all=True, append_images=[smooth.rotate(90), smooth.rotate(180)])

# BMP ------------------------------------------------------------------------------------------------------------
def bmp(w, h, bits, data, compression=0, palette=b'', header=40, masks=b'', colors=0, top_down=False, offset=None):
    if header == 12: head = struct.pack('<LHHHH', 12, w, h, 1, bits)
    else:
        head = struct.pack('<LlllL', header, w, -h if top_down else h, 1 | bits << 16, compression) + struct.pack('<LLLLL', len(data), 0, 0, colors, 0)
        if header > 40: head += masks + b'\0' * (header - 40 - len(masks)); masks = b''
    body = head + masks + palette
    return b'BM' + struct.pack('<LLL', 14 + len(body) + len(data), 0, 14 + len(body) if offset is None else offset) + body + data
def rows(w, h, bits): return b''.join(rng.integers(0, 256, (w * bits + 7) // 8, dtype=np.uint8).tobytes() + b'\0' * (-((w * bits + 7) // 8) % 4) for _ in range(h))
pal4 = lambda n: b''.join(bytes(c) + b'\0' for c in colors(n))
m = lambda *v: struct.pack('<%dL' % len(v), *v)
for bits in (1, 4, 8): files[f'bmp-{bits}.bmp'] = bmp(13, 7, bits, rows(13, 7, bits), palette=pal4(1 << bits))
files['bmp-1-black-white.bmp'] = bmp(13, 7, 1, rows(13, 7, 1), palette=m(0, 0xffffff))
files['bmp-8-ramp.bmp'] = bmp(13, 7, 8, rows(13, 7, 8), palette=m(*[i * 0x10101 for i in range(256)]))
files['bmp-8-few-colors.bmp'] = bmp(13, 7, 8, rows(13, 7, 8), palette=pal4(200), colors=200)
files['bmp-8-top-down.bmp'] = bmp(13, 7, 8, rows(13, 7, 8), palette=pal4(256), top_down=True)
files['bmp-8-palette-not-in-offset.bmp'] = bmp(13, 7, 8, rows(13, 7, 8), palette=pal4(256), offset=54)
files['bmp-8-offset-0.bmp'] = bmp(13, 7, 8, rows(13, 7, 8), palette=pal4(256), offset=0)
files['bmp-8-os2.bmp'] = bmp(13, 7, 8, rows(13, 7, 8), palette=b''.join(bytes(c) for c in colors(256)), header=12)
for bits in (16, 24, 32):
    files[f'bmp-{bits}.bmp'] = bmp(13, 7, bits, rows(13, 7, bits))
    files[f'bmp-{bits}-top-down.bmp'] = bmp(13, 7, bits, rows(13, 7, bits), top_down=True)
    files[f'bmp-{bits}-os2.bmp'] = bmp(13, 7, bits, rows(13, 7, bits), header=12)
files['bmp-16-565.bmp'] = bmp(13, 7, 16, rows(13, 7, 16), 3, masks=m(0xf800, 0x7e0, 0x1f))
files['bmp-16-555.bmp'] = bmp(13, 7, 16, rows(13, 7, 16), 3, masks=m(0x7c00, 0x3e0, 0x1f))
files['bmp-24-masks.bmp'] = bmp(13, 7, 24, rows(13, 7, 24), 3, masks=m(0xff0000, 0xff00, 0xff))
for i, (k, v) in enumerate({'bgrx': (0xff0000, 0xff00, 0xff, 0), 'xbgr': (0xff000000, 0xff0000, 0xff00, 0), 'bgxr': (0xff000000, 0xff00, 0xff, 0), 'abgr': (0xff000000, 0xff0000, 0xff00, 0xff), 'rgba': (0xff, 0xff00, 0xff0000, 0xff000000), 'bgra': (0xff0000, 0xff00, 0xff, 0xff000000), 'bgar': (0xff000000, 0xff00, 0xff, 0xff0000), 'none': (0, 0, 0, 0)}.items()):
    files[f'bmp-32-{k}.bmp'] = bmp(13, 7, 32, rows(13, 7, 32), 3, header=[56, 108, 124][i % 3], masks=m(*v), top_down=i % 2 == 1)
files['bmp-32-masks-behind.bmp'] = bmp(13, 7, 32, rows(13, 7, 32), 3, masks=m(0xff0000, 0xff00, 0xff))
files['bmp-64-header.bmp'] = bmp(13, 7, 24, rows(13, 7, 24), header=64)
def rle(bits, w, h):
    o = bytearray()
    for y in range(h):
        x = 0
        while x < w:
            k = random.randrange(4)
            if k == 0 and x + 3 <= w:  # absolute
                n = random.randint(3, w - x)
                d = bytes(random.randrange(256) for _ in range(n if bits == 8 else (n + 1) // 2))
                o += bytes([0, n]) + d
                if len(o) % 2: o.append(0)
                x += n
            elif k == 1 and y + 2 < h and x + 2 < w and random.random() < .3: o += bytes([0, 2, random.randint(0, w - x - 1), 0]); x = None; break
            else:
                n = random.randint(1, w - x + 2); o += bytes([n, random.randrange(256)]); x += n
        o += bytes([0, 0]) if y + 1 < h else bytes([0, 1])
    return bytes(o)
random.seed(3)
for bits in (8, 4):
    for seed in range(4):
        files[f'bmp-rle{bits}-{seed}.bmp'] = bmp(13, 9, bits, rle(bits, 13, 9), 1 if bits == 8 else 2, palette=pal4(1 << bits), top_down=seed == 3)
files['bmp-rle8-steps.bmp'] = bmp(8, 6, 8, bytes([3, 7, 0, 2, 2, 1, 4, 9, 0, 0, 0, 2, 0, 2, 8, 5, 0, 0, 8, 6, 0, 1]), 1, palette=pal4(256))

# ----------------------------------------------------------------------------------------------------------------
def pillow(b):
    im = ImageOps.exif_transpose(Image.open(io.BytesIO(b)))
    return im.convert('RGB')
os.remove(out + '/x.jpg')
cases = []
for name, b in files.items():
    try: im = pillow(b)
    except Exception as e: print('PILLOW REFUSES', name, type(e).__name__, e); continue
    open(f'{out}/{name}', 'wb').write(b)
    im.save(f'{out}/expected/{name}.png')
    def taken(n):
        try: pillow(b[:n])
        except Exception: return False
        return True
    need = next(n for n in range(len(b) + 1) if taken(n))  # the fewest first bytes that Pillow takes
    cases.append({'file': name, 'size': list(im.size), 'needed_bytes': need})
json.dump({'reference': 'Pillow 13.0.0', 'cases': cases}, open(out + '/cases.json', 'w'), indent=1)
print(len(cases))
