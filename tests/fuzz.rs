//! Manifests, packed files and signatures, changed at random. Nothing panics or takes more memory than the bytes it is given
//! explain, every refusal is one line, and whatever is taken packs to the same bundle again.
//!
//! Each change comes from a seed, which is said when it breaks something: `IDLEWILD_SEED=N` makes that one alone, and
//! `IDLEWILD_FUZZ_ROUNDS=N` makes so many instead of a few seconds' worth.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail, and says where")]
#![allow(unsafe_code, reason = "the allocator that counts is one of the system's")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

use fastrand::Rng;
use idlewild::bundle::{
    self, BundleError, Manifest, Offer, PublicKey, SecretKey, Trust, TrustedKey, Verdict, inspect, pack, read_packed,
};
use idlewild_tests::built_bundle;
use mutatis::Session;

/// Rounds of each test where nobody says how many.
const ROUNDS: u64 = 4_000;
/// What reading may take beside some copies of what is read: the parsers' own tables and messages.
const OWN_NEEDS: usize = 4 << 20;

const PUBLIC: &str = "RWSE348/mSquecKhRbuCVO0OSND8d1R5MRzmxUwwd1cbbt89F+toGtDm";
const SECRET: &str = "untrusted comment: minisign secret key\n\
    RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAhN+PP5kqrnkp+aR5jVwRgZQe5xIwItLoZdYw+yyzCt5u\
    wZbt7uqmcsKhRbuCVO0OSND8d1R5MRzmxUwwd1cbbt89F+toGtDmiC54ZUB62/Ndqbr+jam4rxIGVj6s7p6YCrBQS24A9JA=\n";

/// The system's allocator, counting what each thread holds.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // A thread that is ending has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        MOST.with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        unsafe { System.dealloc(at, layout) }
    }
}

/// Does the work and says how much memory it held at most.
fn most_held(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    MOST.set(before);
    work();
    usize::try_from(MOST.get() - before).unwrap()
}

/// Runs rounds of one test, each from a seed of its own; says how many.
fn rounds(round: impl Fn(u64)) -> u64 {
    let number = |name: &str| {
        #[expect(clippy::disallowed_methods, reason = "a person gives the seed of a round that failed")]
        let chosen = std::env::var(name).ok();
        chosen.map(|text| text.parse::<u64>().expect("a number"))
    };
    let seeds = match number("IDLEWILD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("IDLEWILD_FUZZ_ROUNDS").unwrap_or(ROUNDS),
    };
    for seed in seeds.clone() {
        if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| round(seed))) {
            println!("broken by the change of seed {seed}: IDLEWILD_SEED={seed}");
            panic::resume_unwind(panic);
        }
    }
    seeds.end - seeds.start
}

/// The manifests of the repository, and one that says all that can be said.
fn manifests() -> Vec<String> {
    let whole = "[bundle]\nid = \"com.example.a\"\nversion = \"1.0.0-rc.1+7\"\ncomponent = \"a/b.wasm\"\n\
                 [scheduling]\nbackground-modes = [\"fetch\"]\npermitted-identifiers = [\"com.example.a.b\", \"com.example.a.c.*\"]\n\
                 [capabilities]\ndirectories = [{ name = \"in\", access = \"read\" }, { name = \"out\", access = \"write\" }]\n\
                 http = [\"https://a.example:8443\", \"http://[::1]:80\"]\nconfig = [\"x\"]\nsecrets = [\"y\"]\n\
                 [limits]\nmemory = \"64 MiB\"\n";
    let built = ["hello", "gallery", "behaviours", "misfits/registers_twice"];
    let read = |name| fs::read_to_string(built_bundle(name).join("idlewild.toml")).unwrap();
    built.into_iter().map(read).chain([whole.to_owned(), format!("a = {}", "[".repeat(5_000))]).collect()
}

fn signed(mut offer: Offer) -> Offer {
    offer.signature = Some(SecretKey::parse(SECRET, None).unwrap().sign(&offer).unwrap());
    offer
}

fn trusted() -> Vec<TrustedKey> {
    vec![TrustedKey::new("ada", PublicKey::parse(PUBLIC).unwrap()).unwrap()]
}

/// Packed files: a real one and small ones, signed and not.
fn packed_files() -> Vec<Vec<u8>> {
    let hello = bundle::read(&built_bundle("hello")).unwrap();
    let small = wat::parse_str(
        "(component (component (@custom \"idlewild:manifest\" \"not ours\"))
           (@custom \"other\" \"kept\") (import \"wasi:cli/stdout@0.2.0\" (instance)))",
    );
    let small = Offer { component: small.unwrap(), ..hello.clone() };
    let small = read_packed(Path::new("small.wasm"), pack(&small)).unwrap();
    [small.clone(), signed(small), hello.clone(), signed(hello)].iter().map(pack).collect()
}

/// Changes bytes in one to four places, most of them near the ends, where frames and our sections are.
fn change(rng: &mut Rng, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
    for _ in 0..rng.usize(1..=4) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        let at = match rng.u8(0..4) {
            0 => rng.usize(0..length),
            1 => rng.usize(0..length.min(64)),
            _ => length - 1 - rng.usize(0..length.min(1_500)),
        };
        let end = (at + rng.usize(1..400)).min(length);
        match rng.u8(0..9) {
            0 => bytes[at] ^= 1 << rng.u8(0..8),
            1 => bytes[at] = *rng.choice(&[0, 1, 0x7f, 0x80, 0xff]).unwrap(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let again = bytes[at..end].to_vec();
                let to = rng.usize(0..=length);
                bytes.splice(to..to, again);
            }
            5 => {
                let other = rng.choice(others).unwrap();
                let from = rng.usize(0..other.len());
                let to = (from + rng.usize(1..2_000)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            6 => drop(bytes.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f])),
            7 => {
                let noise: Vec<u8> = (0..rng.usize(1..40)).map(|_| rng.u8(..)).collect();
                bytes.splice(at..at, noise);
            }
            _ => {
                // A whole section of ours once more.
                let tail = bytes[length.saturating_sub(rng.usize(1..1_500))..].to_vec();
                bytes.extend(tail);
            }
        }
    }
}

fn assert_one_line(error: &BundleError) {
    let message = error.to_string();
    assert!(!message.is_empty() && message.len() < 1_000 && !message.contains('\n'), "{message}");
}

#[test]
fn a_packed_file_is_refused_or_packs_to_itself() {
    let (files, keys, path) = (packed_files(), trusted(), Path::new("crafted.wasm"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crafted.wasm");
    let taken = Cell::new(0);
    let rounds = rounds(|seed| {
        let mut rng = Rng::with_seed(seed);
        let mut bytes = rng.choice(&files).unwrap().clone();
        change(&mut rng, &mut bytes, &files);
        let most = most_held(|| match read_packed(path, bytes.clone()) {
            Ok(offer) => {
                taken.set(taken.get() + 1);
                let again = read_packed(path, pack(&offer)).unwrap();
                assert_eq!(again.digest, offer.digest);
                assert!(again == offer, "packed again it is another");
                if let Err(error) = bundle::verdict(&offer, &keys) {
                    assert_one_line(&error);
                }
            }
            Err(error) => assert_one_line(&error),
        });
        assert!(most < 8 * bytes.len() + OWN_NEEDS, "reading {} bytes held {most}", bytes.len());
        if seed % 16 == 0 {
            fs::write(&file, &bytes).unwrap();
            inspect(&file, &Trust { keys: keys.clone(), ..Trust::default() }).unwrap();
        }
    });
    println!("{} of {rounds} taken", taken.get());
    assert!(rounds == 1 || taken.get() > rounds / 50, "what is never taken proves little");
}

#[test]
fn a_manifest_is_refused_or_means_the_same_in_a_file() {
    let manifests: Vec<Vec<u8>> = manifests().into_iter().map(String::into_bytes).collect();
    let component = wat::parse_str("(component)").unwrap();
    rounds(|seed| {
        let mut rng = Rng::with_seed(seed);
        let mut bytes = rng.choice(&manifests).unwrap().clone();
        let mut session = Session::new().seed(seed);
        match rng.bool() {
            true => session.mutate(&mut bytes).unwrap(),
            false => change(&mut rng, &mut bytes, &manifests),
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let most = most_held(|| match Manifest::parse(&text) {
            Ok(manifest) => {
                let offer = Offer {
                    manifest: manifest.clone(),
                    manifest_text: text.clone(),
                    component: component.clone(),
                    digest: String::new(),
                    signature: None,
                };
                let read = read_packed(Path::new("crafted.wasm"), pack(&offer)).unwrap();
                assert_eq!((read.manifest, &read.manifest_text, &read.component), (manifest, &text, &component));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        });
        assert!(most < 64 * text.len() + OWN_NEEDS, "reading {} bytes held {most}", text.len());
    });
}

#[test]
fn a_signature_that_was_changed_signs_nothing() {
    let offer = signed(bundle::read(&built_bundle("hello")).unwrap());
    let (keys, real) = (trusted(), offer.signature.clone().unwrap());
    let proof = |text: &str| text.lines().skip(1).map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    assert!(matches!(bundle::verdict(&offer, &keys), Ok(Verdict::Signed(_))));
    rounds(|seed| {
        let mut rng = Rng::with_seed(seed);
        let mut bytes = real.clone().into_bytes();
        match rng.bool() {
            true => Session::new().seed(seed).mutate(&mut bytes).unwrap(),
            false => change(&mut rng, &mut bytes, &[real.clone().into_bytes()]),
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let crafted = Offer { signature: Some(text.clone()), ..offer.clone() };
        match bundle::verdict(&crafted, &keys) {
            // The first line is a comment that nothing vouches for.
            Ok(Verdict::Signed(_)) => assert_eq!(proof(&text), proof(&real)),
            Ok(Verdict::Unsigned | Verdict::Untrusted { .. } | Verdict::Unchecked) => {}
            Err(error) => assert_one_line(&error),
        }
    });
}
