//! How a stored picture is rotated to be upright.

/// A turn, then a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Degrees clockwise: 0, 90, 180 or 270.
    pub clockwise: u16,
    /// Whether the turned picture is mirrored, left to right.
    pub mirror: bool,
    /// Whether the source asks for an angle between: then this is the nearest quarter.
    pub rounded: bool,
}

impl Rotation {
    /// The turn of a picture that a source asks to be turned by `rotation` degrees
    /// counterclockwise, and mirrored. Players turn by quarters only, or leave black corners where
    /// the source asks for less.
    #[must_use]
    pub fn from_rotation(rotation: i32, mirrored: bool) -> Self {
        let asked = rotation.rem_euclid(360);
        // A mirror turns the axis that the angle is measured from, too.
        let clockwise = if mirrored { 180 + asked } else { 360 - asked };
        let quarters = (clockwise + 45).div_euclid(90).rem_euclid(4);
        Self {
            clockwise: u16::try_from(quarters * 90).unwrap_or(0),
            mirror: mirrored,
            rounded: asked % 90 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turn(rotation: i32, mirrored: bool) -> (u16, bool) {
        let turn = Rotation::from_rotation(rotation, mirrored);
        (turn.clockwise, turn.mirror)
    }

    #[test]
    fn quarters_are_kept_and_angles_between_go_to_the_nearest() {
        for (rotation, clockwise) in [
            (0, 0),
            (-90, 90),
            (90, 270),
            (180, 180),
            (-180, 180),
            (-80, 90),
            (10, 0),
            (-44, 0),
            (46, 270),
        ] {
            assert_eq!(turn(rotation, false), (clockwise, false), "{rotation}");
        }

        // ffprobe gives a picture mirrored left to right as half a turn, and one mirrored top to
        // bottom as none.
        assert_eq!((turn(180, true), turn(0, true)), ((0, true), (180, true)));
    }

    proptest! {
        #[test]
        fn every_angle_gives_a_quarter(rotation: i32, mirrored: bool) {
            prop_assert!(matches!(turn(rotation, mirrored).0, 0 | 90 | 180 | 270));
        }
    }
}
