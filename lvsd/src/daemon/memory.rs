//! How much memory is free, which some defences go by.

use std::fs;

use lvs_core::Sysctls;

/// Free memory in pages, as IPVS reckons it: what is free, and the buffers. Looked at only if a defence is in an
/// automatic mode; otherwise, and where it cannot be known, there is no shortage.
pub(super) fn available_pages(sysctls: &Sysctls) -> u64 {
    let modes = [sysctls.drop_entry, sysctls.drop_packet, sysctls.secure_tcp];
    if !modes.iter().any(|m| matches!(m, 1 | 2)) {
        return u64::MAX;
    }
    let text = fs::read_to_string("/proc/meminfo").ok();
    let bytes = text.and_then(|t| free_bytes(&t));
    bytes.map_or(u64::MAX, |b| b / page_size())
}

fn free_bytes(meminfo: &str) -> Option<u64> {
    let of = |name: &str| {
        let line = meminfo.lines().find_map(|l| l.strip_prefix(name))?;
        let kilobytes = line.trim().strip_suffix("kB")?.trim();
        kilobytes.parse::<u64>().ok()
    };
    Some((of("MemFree:")? + of("Buffers:")?) * 1024)
}

/// The size the kernel tells each process at its start, among other numbers.
fn page_size() -> u64 {
    const AT_PAGESZ: u64 = 6;
    const USUAL: u64 = 4096;
    const WORD: usize = size_of::<usize>();
    let bytes = fs::read("/proc/self/auxv").unwrap_or_default();
    let (words, _) = bytes.as_chunks::<WORD>();
    let mut pairs = words.chunks_exact(2);
    let word = |w: &[u8; WORD]| usize::from_ne_bytes(*w) as u64;
    let found = pairs.find_map(|p| (word(&p[0]) == AT_PAGESZ).then(|| word(&p[1])));
    found.filter(|size| *size > 0).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_memory_and_buffers_count() {
        let text = "MemTotal:       16310772 kB\nMemFree:         1000 kB\nMemAvailable:   9 kB\nBuffers:  24 kB\n";
        assert_eq!(free_bytes(text), Some(1024 * 1024));
        assert_eq!(free_bytes("MemFree: 5 kB\n"), None);
        assert_eq!(free_bytes("MemFree: x kB\nBuffers: 1 kB\n"), None);
    }

    #[test]
    fn it_is_looked_at_only_for_automatic_modes() {
        let with = |drop_packet| Sysctls {
            drop_packet,
            ..Sysctls::default()
        };
        assert_eq!(available_pages(&with(0)), u64::MAX);
        assert_eq!(available_pages(&with(3)), u64::MAX);
        let pages = available_pages(&with(1));
        assert!(pages > 0 && pages < u64::MAX, "{pages}");
        assert!(page_size().is_power_of_two());
    }
}
