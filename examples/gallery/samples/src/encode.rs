//! Writes a painting as the file of a format. Four small encoders serve, where one crate for all images takes a minute to build.

use std::io;

use crate::landscape::Painting;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Gif,
    Jpeg,
    Png,
    Webp,
}

const QUALITY: u8 = 80;

/// Errors: an encoder refuses the painting.
pub(crate) fn encode(painting: &Painting, format: Format) -> io::Result<Vec<u8>> {
    let Painting { width, height, rgb } = painting;
    let mut bytes = Vec::new();
    match format {
        Format::Gif => {
            let mut encoder = gif::Encoder::new(&mut bytes, *width, *height, &[]).map_err(io::Error::other)?;
            encoder.write_frame(&gif::Frame::from_rgb_speed(*width, *height, rgb, 10)).map_err(io::Error::other)?;
        }
        Format::Jpeg => {
            let encoder = jpeg_encoder::Encoder::new(&mut bytes, QUALITY);
            encoder.encode(rgb, *width, *height, jpeg_encoder::ColorType::Rgb).map_err(io::Error::other)?;
        }
        Format::Png => {
            let mut encoder = png::Encoder::new(&mut bytes, (*width).into(), (*height).into());
            encoder.set_color(png::ColorType::Rgb);
            encoder.write_header()?.write_image_data(rgb)?;
        }
        Format::Webp => {
            let encoder = image_webp::WebPEncoder::new(&mut bytes);
            let (width, height) = ((*width).into(), (*height).into());
            encoder.encode(rgb, width, height, image_webp::ColorType::Rgb8).map_err(io::Error::other)?;
        }
    }
    Ok(bytes)
}
