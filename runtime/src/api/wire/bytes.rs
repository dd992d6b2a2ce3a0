//! Bytes in JSON: as text when they are UTF-8, else in base64, and the key says which.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::INLINE_OUTPUT_LIMIT;

/// `{"text": "…"}` when the bytes are UTF-8, `{"base64": "…"}` (RFC 4648, padded) when they are not. Either is understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

/// What a handler returned. In lists and events `output` is left out when it is long; `output_bytes` is always its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Bytes>,
    pub output_bytes: u64,
}

impl Output {
    pub(super) fn whole(bytes: &[u8]) -> Output {
        Output { output: Some(Bytes(bytes.to_vec())), output_bytes: bytes.len() as u64 }
    }

    /// Leaves the bytes out when they are too many for a list.
    pub(super) fn shorten(&mut self) {
        if self.output_bytes > INLINE_OUTPUT_LIMIT as u64 {
            self.output = None;
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    Text(String),
    Base64(String),
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match str::from_utf8(&self.0) {
            Ok(text) => Written::Text(text.to_owned()),
            Err(_) => Written::Base64(base64_encode(&self.0)),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Bytes(text.into_bytes())),
            Written::Base64(text) => base64_decode(&text)
                .map(Bytes)
                .ok_or_else(|| de::Error::custom("`base64` is not padded base64 (RFC 4648)")),
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().enumerate().fold(0u32, |group, (i, byte)| group | u32::from(*byte) << (16 - 8 * i));
        for i in 0..4 {
            match i <= chunk.len() {
                true => text.push(char::from(ALPHABET[(group >> (18 - 6 * i)) as usize & 63])),
                false => text.push('='),
            }
        }
    }
    text
}

fn base64_decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text).as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let mut group = 0u32;
        for (i, digit) in chunk.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == digit)?;
            group |= (value as u32) << (18 - 6 * i);
        }
        let length = chunk.len() - 1;
        // Bits that stand for no byte must be zero, so that each value is written in one way only.
        if group & (0x00ff_ffff >> (8 * length)) != 0 {
            return None;
        }
        bytes.extend_from_slice(&group.to_be_bytes()[1..=length]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_the_vectors_of_rfc_4648() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(base64_encode(plain.as_bytes()), encoded);
            assert_eq!(base64_decode(encoded).as_deref(), Some(plain.as_bytes()), "{encoded}");
        }
    }

    #[test]
    fn base64_refuses_what_no_encoder_writes() {
        for text in ["Z", "Zg", "Zg=", "Zh==", "Zm9=", "====", "Zg==Zg==", "Zm 9", "Z===", "é==="] {
            assert_eq!(base64_decode(text), None, "{text}");
        }
    }

    #[test]
    fn bytes_say_how_they_are_written() {
        let cases: [(&[u8], &str); 3] = [
            (b"", r#"{"text":""}"#),
            ("naïve".as_bytes(), r#"{"text":"naïve"}"#),
            (&[0xff, 0], r#"{"base64":"/wA="}"#),
        ];
        for (bytes, json) in cases {
            assert_eq!(serde_json::to_string(&Bytes(bytes.to_vec())).unwrap(), json);
            assert_eq!(serde_json::from_str::<Bytes>(json).unwrap().0, bytes);
        }
        assert!(serde_json::from_str::<Bytes>(r#"{"bytes":"x"}"#).unwrap_err().to_string().contains("`bytes`"));
    }

    #[test]
    fn a_long_output_is_left_out_of_lists_but_its_size_is_said() {
        let mut output = Output::whole(&vec![b'x'; INLINE_OUTPUT_LIMIT + 1]);
        output.shorten();
        assert_eq!(serde_json::to_string(&output).unwrap(), r#"{"output_bytes":4097}"#);
        let mut short = Output::whole(b"done");
        short.shorten();
        assert_eq!(serde_json::to_string(&short).unwrap(), r#"{"output":{"text":"done"},"output_bytes":4}"#);
    }
}
