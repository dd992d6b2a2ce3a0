//! What a handler may return.

use std::fmt::Display;

/// What a handler may return: bytes, text or nothing, or a `Result` of those. An error becomes the message of a failed task, in
/// its alternate form, in which some error types tell their causes too.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "return bytes, text, nothing, `Json<…>`, or a `Result` of these"
)]
pub trait Output {
    /// The output, or the message of failure.
    fn into_output(self) -> Result<Vec<u8>, String>;
}

impl Output for () {
    fn into_output(self) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
}

impl Output for Vec<u8> {
    fn into_output(self) -> Result<Vec<u8>, String> {
        Ok(self)
    }
}

impl Output for String {
    fn into_output(self) -> Result<Vec<u8>, String> {
        Ok(self.into_bytes())
    }
}

impl Output for &str {
    fn into_output(self) -> Result<Vec<u8>, String> {
        Ok(self.as_bytes().to_vec())
    }
}

impl Output for &[u8] {
    fn into_output(self) -> Result<Vec<u8>, String> {
        Ok(self.to_vec())
    }
}

impl<T: Output, E: Display> Output for Result<T, E> {
    fn into_output(self) -> Result<Vec<u8>, String> {
        match self {
            Ok(output) => output.into_output(),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::Output;

    #[test]
    fn bytes_text_and_nothing_are_outputs() {
        assert_eq!(().into_output(), Ok(Vec::new()));
        assert_eq!("text".into_output(), Ok(b"text".to_vec()));
        assert_eq!(Ok::<_, String>(vec![0, 255]).into_output(), Ok(vec![0, 255]));
    }

    #[test]
    fn any_error_that_can_be_shown_is_a_message() {
        let error: Box<dyn Error> = "no such folder".into();
        assert_eq!(Err::<(), _>(error).into_output(), Err("no such folder".to_owned()));
        assert_eq!(Err::<String, _>("gone").into_output(), Err("gone".to_owned()));
    }
}
