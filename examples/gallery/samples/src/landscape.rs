//! Paints landscapes: a sky, a sun or a moon, and ridges that fade into the distance. It reckons in whole numbers only, so every
//! machine paints the same.

/// A finished picture: rows of pixels from the top, three bytes each.
pub(crate) struct Painting {
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) rgb: Vec<u8>,
}

/// A landscape to paint: its number shapes the ridges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    number: u32,
    width: u16,
    height: u16,
    light: Light,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Light {
    Dawn,
    Day,
    Dusk,
    Night,
}

type Color = [i32; 3];

/// What a light makes of things: the top and the foot of the sky, the sun or moon, the nearest ridge.
struct Palette {
    top: Color,
    foot: Color,
    disc: Color,
    near: Color,
}

const RIDGES: i32 = 5;

impl Scene {
    pub(crate) const fn new(number: u32, width: u16, height: u16, light: Light) -> Scene {
        Scene { number, width, height, light }
    }

    pub(crate) fn paint(&self) -> Painting {
        let (width, height) = (i32::from(self.width), i32::from(self.height));
        let palette = self.light.palette();
        let mut random = Random(self.number);
        let disc = (random.below(width / 2) + width / 4, height / 5 + random.below(height / 5), width.min(height) / 11);
        let stars: Vec<(i32, i32)> = match self.light {
            Light::Night => (0..60).map(|_| (random.below(width), random.below(height / 2))).collect(),
            Light::Dawn | Light::Day | Light::Dusk => Vec::new(),
        };
        let ridges: Vec<Vec<i32>> = (0..RIDGES).map(|ridge| outline(ridge, width, height, &mut random)).collect();

        let mut rgb = Vec::new();
        for y in 0..height {
            for (x, column) in (0..width).zip(0_usize..) {
                let color = match (0..RIDGES).zip(&ridges).rev().find(|(_, outline)| y >= outline[column]) {
                    Some((ridge, _)) => mix(palette.foot, palette.near, ridge + 1, RIDGES),
                    None if stars.contains(&(x, y)) => [235, 235, 245],
                    None => sky(&palette, disc, x, y, height),
                };
                rgb.extend(color.map(|part| u8::try_from(part.clamp(0, 255)).unwrap_or(u8::MAX)));
            }
        }
        Painting { width: self.width, height: self.height, rgb }
    }
}

impl Light {
    fn palette(self) -> Palette {
        match self {
            Light::Dawn => {
                Palette { top: [88, 110, 168], foot: [250, 205, 170], disc: [255, 240, 215], near: [52, 46, 74] }
            }
            Light::Day => {
                Palette { top: [64, 140, 210], foot: [205, 230, 240], disc: [255, 252, 235], near: [28, 78, 66] }
            }
            Light::Dusk => {
                Palette { top: [62, 44, 96], foot: [244, 142, 92], disc: [255, 214, 140], near: [30, 22, 44] }
            }
            Light::Night => Palette { top: [10, 14, 34], foot: [44, 62, 100], disc: [232, 232, 220], near: [6, 9, 20] },
        }
    }
}

/// The sky at a place, or the disc in it, whose glow fades with the distance.
fn sky(palette: &Palette, (disc_x, disc_y, radius): (i32, i32, i32), x: i32, y: i32, height: i32) -> Color {
    let sky = mix(palette.top, palette.foot, (y * 5 / 4).min(height), height);
    let distance = ((x - disc_x).pow(2) + (y - disc_y).pow(2)).isqrt();
    if distance <= radius {
        return palette.disc;
    }
    let reach = radius * 6;
    let glow = (reach - distance).max(0).pow(2) / reach.max(1);
    mix(sky, palette.disc, glow / 2, reach)
}

/// How far down a ridge begins, for each column: three waves of the ridge's own, nearer ones lower and longer.
fn outline(ridge: i32, width: i32, height: i32, random: &mut Random) -> Vec<i32> {
    let base = height * (9 + 2 * ridge) / 20;
    let waves: Vec<(i32, i32, i32)> = (1..=3)
        .map(|wave| {
            (
                width / wave * (6 + random.below(5)) / 10,
                height / (9 * wave) + random.below(height / 40 + 1),
                random.below(width),
            )
        })
        .collect();
    let bend = |x: i32| waves.iter().map(|&(length, rise, shift)| wave(x + shift, length.max(8), rise)).sum::<i32>();
    (0..width).map(|x| base + bend(x)).collect()
}

/// A smooth wave of whole numbers: two parabolas to a length, between `-rise` and `rise`.
fn wave(x: i32, length: i32, rise: i32) -> i32 {
    let half = (length / 2).max(1);
    let place = x.rem_euclid(half);
    let arch = 4 * place * (half - place) * rise / (half * half);
    if x.div_euclid(half) % 2 == 0 { arch } else { -arch }
}

fn mix(from: Color, to: Color, part: i32, whole: i32) -> Color {
    [0, 1, 2].map(|place| from[place] + (to[place] - from[place]) * part / whole.max(1))
}

/// A multiplier and its remainder: enough to scatter hills, and the same for ever.
struct Random(u32);

impl Random {
    fn below(&mut self, bound: i32) -> i32 {
        self.0 = self.0.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let mixed = (self.0 >> 16) ^ self.0;
        (mixed % bound.max(1).cast_unsigned()).cast_signed()
    }
}
