#include "CCairo.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct cairo_surface cairo_surface;
typedef struct cairo_context cairo_context;
typedef struct cairo_pattern cairo_pattern;
typedef struct cairo_font_options cairo_font_options;
typedef int (*cairo_write)(void *closure, const unsigned char *data, unsigned int length);

typedef struct {
  double x_bearing, y_bearing, width, height, x_advance, y_advance;
} text_extents;

typedef struct {
  double ascent, descent, height, max_x_advance, max_y_advance;
} font_extents;

// Values from cairo's public enumerations.
enum { STATUS_SUCCESS = 0, STATUS_NO_MEMORY = 1, FORMAT_RGB24 = 1, SLANT_NORMAL = 0, FILTER_NEAREST = 3 };
enum { HINT_STYLE_SLIGHT = 2, HINT_METRICS_OFF = 1, ANTIALIAS_GRAY = 2, CAP_BUTT = 0, ROUND = 1, JOIN_MITER = 0 };

// The table: one line per function of cairo used here.
#define FUNCTIONS(F) \
  F(cairo_surface *, image_surface_create, (int format, int width, int height)) \
  F(unsigned char *, image_surface_get_data, (cairo_surface *)) \
  F(int, image_surface_get_stride, (cairo_surface *)) \
  F(void, surface_flush, (cairo_surface *)) \
  F(void, surface_mark_dirty, (cairo_surface *)) \
  F(int, surface_status, (cairo_surface *)) \
  F(int, surface_write_to_png_stream, (cairo_surface *, cairo_write, void *)) \
  F(void, surface_destroy, (cairo_surface *)) \
  F(cairo_context *, create, (cairo_surface *)) \
  F(void, destroy, (cairo_context *)) \
  F(int, status, (cairo_context *)) \
  F(const char *, status_to_string, (int)) \
  F(void, save, (cairo_context *)) \
  F(void, restore, (cairo_context *)) \
  F(void, translate, (cairo_context *, double, double)) \
  F(void, rotate, (cairo_context *, double)) \
  F(void, scale, (cairo_context *, double, double)) \
  F(void, set_source_rgba, (cairo_context *, double, double, double, double)) \
  F(void, set_source_surface, (cairo_context *, cairo_surface *, double, double)) \
  F(cairo_pattern *, get_source, (cairo_context *)) \
  F(void, pattern_set_filter, (cairo_pattern *, int)) \
  F(void, set_line_width, (cairo_context *, double)) \
  F(void, set_line_cap, (cairo_context *, int)) \
  F(void, set_line_join, (cairo_context *, int)) \
  F(void, set_dash, (cairo_context *, const double *, int, double)) \
  F(void, new_path, (cairo_context *)) \
  F(void, new_sub_path, (cairo_context *)) \
  F(void, move_to, (cairo_context *, double, double)) \
  F(void, line_to, (cairo_context *, double, double)) \
  F(void, rectangle, (cairo_context *, double, double, double, double)) \
  F(void, arc, (cairo_context *, double, double, double, double, double)) \
  F(void, close_path, (cairo_context *)) \
  F(void, stroke, (cairo_context *)) \
  F(void, fill, (cairo_context *)) \
  F(void, fill_preserve, (cairo_context *)) \
  F(void, clip, (cairo_context *)) \
  F(void, paint, (cairo_context *)) \
  F(void, select_font_face, (cairo_context *, const char *, int slant, int weight)) \
  F(void, set_font_size, (cairo_context *, double)) \
  F(void, text_extents, (cairo_context *, const char *, text_extents *)) \
  F(void, font_extents, (cairo_context *, font_extents *)) \
  F(void, show_text, (cairo_context *, const char *)) \
  F(cairo_font_options *, font_options_create, (void)) \
  F(void, font_options_set_antialias, (cairo_font_options *, int)) \
  F(void, font_options_set_hint_style, (cairo_font_options *, int)) \
  F(void, font_options_set_hint_metrics, (cairo_font_options *, int)) \
  F(void, font_options_destroy, (cairo_font_options *)) \
  F(void, set_font_options, (cairo_context *, const cairo_font_options *))

#define FIELD(result, name, parameters) result(*name) parameters;
static struct {
  FUNCTIONS(FIELD)
} cairo;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *missing = NULL;

static void load(void) {
  void *library = dlopen("libcairo.so.2", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    missing = "libcairo.so.2 not found: install libcairo2 and fonts-dejavu-core";
    return;
  }
  void *symbol;
#define LOAD(result, name, parameters) \
  symbol = dlsym(library, "cairo_" #name); \
  if (symbol == NULL) { \
    missing = "libcairo.so.2 has no function cairo_" #name ": version 1.16 or later has"; \
    return; \
  } \
  memcpy(&cairo.name, &symbol, sizeof(symbol));
  FUNCTIONS(LOAD)
}

const char *apus_cairo_load(void) {
  pthread_once(&once, load);
  return missing;
}

struct apus_canvas {
  cairo_surface *surface;
  cairo_context *context;
  int png_status;
};

apus_canvas *apus_canvas_create(double width, double height, double scale) {
  double columns = ceil(width * scale), rows = ceil(height * scale);
  // 32767 is the largest side of cairo's image surfaces; the comparison refuses NaN too.
  if (apus_cairo_load() != NULL || !(columns >= 1 && columns <= 32767 && rows >= 1 && rows <= 32767)) return NULL;
  apus_canvas *canvas = calloc(1, sizeof(apus_canvas));
  if (canvas == NULL) return NULL;
  canvas->surface = cairo.image_surface_create(FORMAT_RGB24, (int)columns, (int)rows);
  canvas->context = cairo.create(canvas->surface);
  if (apus_canvas_problem(canvas) != NULL) {
    apus_canvas_destroy(canvas);
    return NULL;
  }
  cairo.scale(canvas->context, scale, scale);
  // Text is laid out in units, the same at every scale.
  cairo_font_options *options = cairo.font_options_create();
  cairo.font_options_set_antialias(options, ANTIALIAS_GRAY);
  cairo.font_options_set_hint_style(options, HINT_STYLE_SLIGHT);
  cairo.font_options_set_hint_metrics(options, HINT_METRICS_OFF);
  cairo.set_font_options(canvas->context, options);
  cairo.font_options_destroy(options);
  cairo.set_source_rgba(canvas->context, 1, 1, 1, 1);
  cairo.paint(canvas->context);
  return canvas;
}

void apus_canvas_destroy(apus_canvas *canvas) {
  cairo.destroy(canvas->context);
  cairo.surface_destroy(canvas->surface);
  free(canvas);
}

const char *apus_canvas_problem(apus_canvas *canvas) {
  int status = cairo.status(canvas->context);
  if (status == STATUS_SUCCESS) status = cairo.surface_status(canvas->surface);
  if (status == STATUS_SUCCESS) status = canvas->png_status;
  return status == STATUS_SUCCESS ? NULL : cairo.status_to_string(status);
}

void apus_canvas_save(apus_canvas *canvas) { cairo.save(canvas->context); }
void apus_canvas_restore(apus_canvas *canvas) { cairo.restore(canvas->context); }
void apus_canvas_translate(apus_canvas *canvas, double x, double y) { cairo.translate(canvas->context, x, y); }
void apus_canvas_rotate(apus_canvas *canvas, double radians) { cairo.rotate(canvas->context, radians); }

void apus_canvas_color(apus_canvas *canvas, double red, double green, double blue, double alpha) {
  cairo.set_source_rgba(canvas->context, red, green, blue, alpha);
}

void apus_canvas_line(apus_canvas *canvas, double width, bool round, const double *dashes, int dash_count) {
  cairo.set_line_width(canvas->context, width);
  cairo.set_line_cap(canvas->context, round ? ROUND : CAP_BUTT);
  cairo.set_line_join(canvas->context, round ? ROUND : JOIN_MITER);
  cairo.set_dash(canvas->context, dashes, dash_count, 0);
}

void apus_canvas_move(apus_canvas *canvas, double x, double y) { cairo.move_to(canvas->context, x, y); }
void apus_canvas_line_to(apus_canvas *canvas, double x, double y) { cairo.line_to(canvas->context, x, y); }

void apus_canvas_rectangle(apus_canvas *canvas, double x, double y, double width, double height) {
  cairo.rectangle(canvas->context, x, y, width, height);
}

void apus_canvas_arc(apus_canvas *canvas, double x, double y, double radius, double from, double to) {
  cairo.arc(canvas->context, x, y, radius, from, to);
}

void apus_canvas_close(apus_canvas *canvas) { cairo.close_path(canvas->context); }
void apus_canvas_stroke(apus_canvas *canvas) { cairo.stroke(canvas->context); }

void apus_canvas_fill(apus_canvas *canvas, bool keep_path) {
  if (keep_path) {
    cairo.fill_preserve(canvas->context);
  } else {
    cairo.fill(canvas->context);
  }
}

void apus_canvas_clip(apus_canvas *canvas) { cairo.clip(canvas->context); }

void apus_canvas_font(apus_canvas *canvas, const char *family, double size, bool bold) {
  cairo.select_font_face(canvas->context, family, SLANT_NORMAL, bold ? 1 : 0);
  cairo.set_font_size(canvas->context, size);
}

apus_text_extents apus_canvas_measure(apus_canvas *canvas, const char *text) {
  text_extents of_text = {0};
  font_extents of_font = {0};
  cairo.text_extents(canvas->context, text, &of_text);
  cairo.font_extents(canvas->context, &of_font);
  return (apus_text_extents){of_text.width, of_text.x_advance, of_font.ascent, of_font.descent};
}

void apus_canvas_text(apus_canvas *canvas, const char *text, double x, double y) {
  cairo.move_to(canvas->context, x, y);
  cairo.show_text(canvas->context, text);
  cairo.new_path(canvas->context);
}

void apus_canvas_gray_image(
    apus_canvas *canvas, const uint8_t *samples, int columns, int rows, double x, double y, double width, double height) {
  cairo_surface *image = cairo.image_surface_create(FORMAT_RGB24, columns, rows);
  unsigned char *data = cairo.image_surface_get_data(image);
  if (data != NULL) {
    int stride = cairo.image_surface_get_stride(image);
    for (int row = 0; row < rows; row++) {
      for (int column = 0; column < columns; column++) {
        uint32_t gray = samples[(size_t)row * columns + column];
        uint32_t pixel = gray << 16 | gray << 8 | gray;
        memcpy(data + (size_t)row * stride + (size_t)column * 4, &pixel, sizeof(pixel));
      }
    }
    cairo.surface_mark_dirty(image);
    cairo.save(canvas->context);
    cairo.translate(canvas->context, x, y);
    cairo.scale(canvas->context, width / columns, height / rows);
    cairo.set_source_surface(canvas->context, image, 0, 0);
    cairo.pattern_set_filter(cairo.get_source(canvas->context), FILTER_NEAREST);
    cairo.rectangle(canvas->context, 0, 0, columns, rows);
    cairo.fill(canvas->context);
    cairo.restore(canvas->context);
  }
  cairo.surface_destroy(image);
}

typedef struct {
  uint8_t *bytes;
  size_t count, capacity;
} buffer;

static int append(void *closure, const unsigned char *data, unsigned int length) {
  buffer *target = closure;
  if (target->count + length > target->capacity) {
    size_t capacity = 2 * target->capacity > target->count + length ? 2 * target->capacity : target->count + length;
    uint8_t *grown = realloc(target->bytes, capacity);
    if (grown == NULL) return STATUS_NO_MEMORY;
    target->bytes = grown;
    target->capacity = capacity;
  }
  memcpy(target->bytes + target->count, data, length);
  target->count += length;
  return STATUS_SUCCESS;
}

uint8_t *apus_canvas_png(apus_canvas *canvas, size_t *count) {
  buffer target = {0};
  cairo.surface_flush(canvas->surface);
  canvas->png_status = cairo.surface_write_to_png_stream(canvas->surface, append, &target);
  if (canvas->png_status != STATUS_SUCCESS) {
    free(target.bytes);
    target = (buffer){0};
  }
  *count = target.count;
  return target.bytes;
}

void apus_canvas_free(uint8_t *memory) { free(memory); }
