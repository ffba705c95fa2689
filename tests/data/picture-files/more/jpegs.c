#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
/* jpegs OUT kind : writes a 37x29 noise-and-ramp picture */
int main(int c, char **v) {
  struct jpeg_compress_struct i; struct jpeg_error_mgr e; const char *k = v[2];
  int w = 37, h = 29, n = strstr(k, "cck") || strstr(k, "cmyk") ? 4 : 3;
  unsigned char row[37 * 4]; JSAMPROW rows[1] = {row};
  i.err = jpeg_std_error(&e); jpeg_create_compress(&i);
  FILE *f = fopen(v[1], "wb"); jpeg_stdio_dest(&i, f);
  i.image_width = w; i.image_height = h; i.input_components = n; i.in_color_space = n == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&i); jpeg_set_quality(&i, 88, TRUE);
  if (!strcmp(k, "ycck")) jpeg_set_colorspace(&i, JCS_YCCK);
  if (!strcmp(k, "ycck-420")) { jpeg_set_colorspace(&i, JCS_YCCK); i.comp_info[0].h_samp_factor = i.comp_info[0].v_samp_factor = 2; i.comp_info[3].h_samp_factor = i.comp_info[3].v_samp_factor = 2; }
  if (!strcmp(k, "cmyk-no-adobe")) { i.write_Adobe_marker = FALSE; }
  if (!strcmp(k, "rgb")) jpeg_set_colorspace(&i, JCS_RGB);
  if (!strcmp(k, "440")) { i.comp_info[0].h_samp_factor = 1; i.comp_info[0].v_samp_factor = 2; }
  if (!strcmp(k, "411")) { i.comp_info[0].h_samp_factor = 4; i.comp_info[0].v_samp_factor = 1; }
  if (!strcmp(k, "410")) { i.comp_info[0].h_samp_factor = 4; i.comp_info[0].v_samp_factor = 2; }
  if (!strcmp(k, "422")) { i.comp_info[0].h_samp_factor = 2; i.comp_info[0].v_samp_factor = 1; }
  if (!strcmp(k, "odd-sampling")) { i.comp_info[0].h_samp_factor = 3; i.comp_info[0].v_samp_factor = 1; }
  if (!strcmp(k, "restart")) i.restart_interval = 2;
  if (!strcmp(k, "arithmetic")) i.arith_code = TRUE;
  if (!strcmp(k, "progressive-420")) jpeg_simple_progression(&i);
  jpeg_start_compress(&i, TRUE);
  unsigned s = 12345;
  for (int y = 0; y < h; y++) {
    for (int x = 0; x < w; x++) for (int j = 0; j < n; j++) { s = s * 1664525u + 1013904223u; row[x * n + j] = (unsigned char)((x * (5 + j) + y * (7 - j) + (s >> 27)) & 255); }
    jpeg_write_scanlines(&i, rows, 1);
  }
  jpeg_finish_compress(&i); fclose(f); return 0;
}
