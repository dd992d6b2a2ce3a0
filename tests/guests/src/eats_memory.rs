//! Takes memory and writes to it until there is no more, and dies of it.

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
        println!("{} MiB", eaten.len());
    }
}
