//! What commands print: tables and sentences for people, JSON for programs.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::arguments::Given;

/// Where a command's answer goes.
pub(super) struct Output {
    /// For programs: sentences are left out.
    pub(super) json: bool,
    /// Whether a host runs; if not, what was asked waits for one.
    pub(super) running: bool,
    state_option: String,
    out: io::Stdout,
}

impl Output {
    pub(super) fn new(given: &Given, running: bool) -> Output {
        Output { json: given.json, running, state_option: given.state_option(), out: io::stdout() }
    }

    /// A command for people to type that means this same host.
    pub(super) fn command(&self, rest: &str) -> String {
        format!("idlewild {rest}{}", self.state_option)
    }

    /// Whether somebody sits there who can be asked.
    pub(super) fn may_ask(&self) -> bool {
        !self.json && self.out.is_terminal() && io::stdin().is_terminal()
    }

    /// One object on one line.
    pub(super) fn object(&mut self, object: &impl Serialize) -> anyhow::Result<()> {
        let json = serde_json::to_string(object)?;
        Ok(writeln!(self.out, "{json}")?)
    }

    /// One object a line.
    pub(super) fn objects(&mut self, objects: &[impl Serialize]) -> anyhow::Result<()> {
        objects.iter().try_for_each(|object| self.object(object))
    }

    /// One line for people.
    pub(super) fn line(&mut self, line: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{}", legible(line))?)
    }

    /// Says where to go on when no host runs.
    pub(super) fn hint_to_serve(&mut self) -> anyhow::Result<()> {
        if self.running {
            return Ok(());
        }
        let serve = self.command("serve");
        self.line(&format!("no host is running: it waits for `{serve}`"))
    }

    /// Rows for people below a heading.
    pub(super) fn table<const N: usize>(&mut self, heading: [&str; N], rows: &[[String; N]]) -> anyhow::Result<()> {
        Ok(self.out.write_all(table(heading, rows).as_bytes())?)
    }

    /// Bytes that a guest wrote: as they are for a program, harmless on a terminal.
    pub(super) fn guest_bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if !self.out.is_terminal() {
            return Ok(self.out.write_all(bytes)?);
        }
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            self.line(line)?;
        }
        Ok(())
    }

    /// The same at once, whether or not a line is complete.
    pub(super) fn guest_bytes_now(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self.out.is_terminal() {
            true => {
                let text = String::from_utf8_lossy(bytes);
                text.split_inclusive('\n').try_for_each(|line| match line.strip_suffix('\n') {
                    Some(line) => writeln!(self.out, "{}", legible(line)),
                    None => write!(self.out, "{}", legible(line)),
                })?;
            }
            false => self.out.write_all(bytes)?,
        }
        Ok(self.out.flush()?)
    }
}

/// The text with what could move a terminal's cursor or turn its direction written as escapes: guests wrote part of it.
pub(super) fn legible(text: &str) -> String {
    let harmful = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut legible = String::with_capacity(text.len());
    for c in text.chars() {
        match harmful(c) {
            true => legible.extend(c.escape_default()),
            false => legible.push(c),
        }
    }
    legible
}

/// Columns as wide as their widest cell, two spaces apart; the last is not filled up.
fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let heading = heading.map(str::to_owned);
    let lines: Vec<[String; N]> =
        std::iter::once(&heading).chain(rows).map(|row| std::array::from_fn(|i| legible(&row[i]))).collect();
    let widths: [usize; N] =
        std::array::from_fn(|i| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or_default());
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["7", "com.example.a.b", ""], ["12", "com.example.é", "done"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["TASK", "IDENTIFIER", "OUTCOME"], &rows),
            "TASK  IDENTIFIER       OUTCOME\n\
             7     com.example.a.b\n\
             12    com.example.é    done\n"
        );
    }

    #[test]
    fn what_a_guest_wrote_cannot_move_the_cursor() {
        assert_eq!(legible("a\u{1b}[2Jb\rc\u{202e}d\te\nf é"), "a\\u{1b}[2Jb\\rc\\u{202e}d\te\\nf é");
        assert!(!table(["A"], &[["x\ny".to_owned()]]).contains("x\ny"));
    }
}
