//! Holds more and more listings of `/data` open until that is refused, and tells how many there were.

use std::fs;

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) -> Result<String, String> {
    for name in ["a", "b"] {
        fs::write(format!("/data/{name}"), "").map_err(|error| error.to_string())?;
    }
    let mut listings = Vec::new();
    for _ in 0..100 {
        let begun = fs::read_dir("/data").and_then(|mut listing| {
            let first = listing.next().transpose()?;
            Ok((listing, first))
        });
        match begun {
            Ok(listing) => listings.push(listing),
            Err(error) => return Ok(format!("{} listings, {:?}", listings.len(), error.kind())),
        }
    }
    Ok("100 listings".to_owned())
}
