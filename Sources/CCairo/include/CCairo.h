// Drawing through libcairo, which is loaded at run time: a program linked with this shim starts on machines that have
// neither cairo nor the X libraries behind it. The declarations follow the API reference of cairo 1.16.
#ifndef APUS_CCAIRO_H
#define APUS_CCAIRO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A drawing surface with its state (colour, path, font, transform).
typedef struct apus_canvas apus_canvas;

typedef struct {
  double width, advance;
  /// Of the font, not of this text: above and below the base line, both positive.
  double ascent, descent;
} apus_text_extents;

/// NULL when the library is there, otherwise a constant text that says what is missing.
const char *apus_cairo_load(void);

/// A white canvas of `width` x `height` units, `scale` pixels to the unit. NULL when cairo refuses (size, memory).
apus_canvas *apus_canvas_create(double width, double height, double scale);
void apus_canvas_destroy(apus_canvas *canvas);
/// NULL while all is well, otherwise cairo's description of the first error.
const char *apus_canvas_problem(apus_canvas *canvas);

void apus_canvas_save(apus_canvas *canvas);
void apus_canvas_restore(apus_canvas *canvas);
void apus_canvas_translate(apus_canvas *canvas, double x, double y);
void apus_canvas_rotate(apus_canvas *canvas, double radians);

void apus_canvas_color(apus_canvas *canvas, double red, double green, double blue, double alpha);
void apus_canvas_line(apus_canvas *canvas, double width, bool round, const double *dashes, int dash_count);

void apus_canvas_move(apus_canvas *canvas, double x, double y);
void apus_canvas_line_to(apus_canvas *canvas, double x, double y);
void apus_canvas_rectangle(apus_canvas *canvas, double x, double y, double width, double height);
void apus_canvas_arc(apus_canvas *canvas, double x, double y, double radius, double from, double to);
void apus_canvas_close(apus_canvas *canvas);
void apus_canvas_stroke(apus_canvas *canvas);
void apus_canvas_fill(apus_canvas *canvas, bool keep_path);
void apus_canvas_clip(apus_canvas *canvas);

void apus_canvas_font(apus_canvas *canvas, const char *family, double size, bool bold);
apus_text_extents apus_canvas_measure(apus_canvas *canvas, const char *text);
/// Shows `text` with its base line starting at (x, y).
void apus_canvas_text(apus_canvas *canvas, const char *text, double x, double y);

/// Paints columns x rows gray samples (0 black, 255 white) over the rectangle, each as a hard-edged block.
void apus_canvas_gray_image(
    apus_canvas *canvas, const uint8_t *samples, int columns, int rows, double x, double y, double width, double height);

/// The canvas as PNG in newly allocated memory, which `apus_canvas_free` gives back; NULL on failure (see the problem).
uint8_t *apus_canvas_png(apus_canvas *canvas, size_t *count);
void apus_canvas_free(uint8_t *memory);

#endif
