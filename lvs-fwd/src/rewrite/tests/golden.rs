//! Packets before and after, byte for byte, from the IP header on.
//!
//! They were computed by a model that shares nothing with this crate: it builds both packets from their fields
//! and sums every checksum afresh. The first is the example of IPVS's rule.

use super::*;

struct Vector {
    description: &'static str,
    rewrite: Rewrite,
    input: &'static str,
    output: &'static str,
}

fn vectors() -> Vec<Vector> {
    vec![
        Vector {
            description: "NAT, way in: destination and port of a TCP segment over IPv4",
            rewrite: nat(None, Some("10.0.0.5:8080")),
            input: "450000281234400040063c5dc000020ac63364019c400050000003e8000000005002ffff232b0000",
            output: "45000028123440003f065d8dc000020a0a0000059c401f90000003e8000000005002ffff241b0000",
        },
        Vector {
            description: "NAT, way out: source and port of a UDP datagram over IPv4",
            rewrite: nat(Some("198.51.100.1:53"), None),
            input: "450000211234400040115c890a000005c000020a14e91388000dc78168656c6c6f",
            output: "45000021123440003f113d59c6336401c000020a00351388000dbc0568656c6c6f",
        },
        Vector {
            description: "NAT: a UDP datagram without a checksum gets one",
            rewrite: nat(None, Some("10.0.0.5:5353")),
            input: "4500001f1234400040113c5bc000020ac633640113880035000b00006f6464",
            output: "4500001f123440003f115d8bc000020a0a000005138814e9000b37f36f6464",
        },
        Vector {
            description: "FullNAT, way in: both ends of a TCP segment over IPv6",
            rewrite: nat(Some("[fd00::fe]:61000"), Some("[fd00::5]:8080")),
            input: "600000000015064020010db800000000000000000000001020010db8000100000000000000000001 \
                9c400050000003e8000000075018ffff3bc8000078",
            output: "600000000015063ffd0000000000000000000000000000fefd000000000000000000000000000005 \
                ee481f90000003e8000000075018ffff2aff000078",
        },
        Vector {
            description: "Direct routing: nothing changes but the TTL",
            rewrite: ROUTE,
            input: "450000281234400040063c5dc000020ac63364019c400050000003e8000000005002ffff232b0000",
            output: "45000028123440003f063d5dc000020ac63364019c400050000003e8000000005002ffff232b0000",
        },
        Vector {
            description: "Tunnel: IPv4 in IPv4; DF copied, \"congestion experienced\" not",
            rewrite: tunnel("10.0.0.5"),
            input: "452b00281234400040063c32c000020ac63364019c400050000003e8000000005002ffff232b0000",
            output: "452a003c000040003f0426920a0000fe0a000005452b0028123440003f063d32c000020ac6336401 \
                9c400050000003e8000000005002ffff232b0000",
        },
        Vector {
            description: "Tunnel: IPv4 in IPv6",
            rewrite: tunnel("fd00::5"),
            input: "452b00281234400040063c32c000020ac63364019c400050000003e8000000005002ffff232b0000",
            output: "62a000000028043ffd0000000000000000000000000000fefd000000000000000000000000000005 \
                452b0028123440003f063d32c000020ac63364019c400050000003e8000000005002ffff232b0000",
        },
        Vector {
            description: "Tunnel: IPv6 in IPv4; no DF, an identification",
            rewrite: tunnel("10.0.0.5"),
            input: "6b912345000a114020010db800000000000000000000001020010db8000100000000000000000001 \
                13880035000a28306869",
            output: "45b90046007700003f29655d0a0000fe0a0000056b912345000a113f20010db80000000000000000 \
                0000001020010db800010000000000000000000113880035000a28306869",
        },
        Vector {
            description: "Tunnel: IPv6 in IPv6; traffic class copied, flow label not",
            rewrite: tunnel("fd00::5"),
            input: "6b912345000a114020010db800000000000000000000001020010db8000100000000000000000001 \
                13880035000a28306869",
            output: "6b9000000032293ffd0000000000000000000000000000fefd000000000000000000000000000005 \
                6b912345000a113f20010db800000000000000000000001020010db8000100000000000000000001 \
                13880035000a28306869",
        },
        Vector {
            description: "NAT, way in: an error about a reply speaks of the real server",
            rewrite: nat(None, Some("10.0.0.5:8080")),
            input: "45000038123440004001c252cb007109c633640103043c92000005784500001c000940003c065294 \
                c6336401c000020a00509c4000001e61",
            output: "45000038123440003f01e382cb0071090a00000503041d52000005784500001c000940003c0672c4 \
                0a000005c000020a1f909c4000001e61",
        },
        Vector {
            description: "NAT, way out: an error about a request speaks of the virtual server",
            rewrite: nat(Some("[2001:db8:1::1]:53"), None),
            input: "60000000003a3a40fd00000000000000000000000000000520010db8000000000000000000000010 \
                0104e8df0000000060000000000a113c20010db8000000000000000000000010fd00000000000000 \
                0000000000000005138814e9000aabcd7a7a",
            output: "60000000003a3a3f20010db800010000000000000000000120010db8000000000000000000000010 \
                01049c290000000060000000000a113c20010db800000000000000000000001020010db800010000 \
                000000000000000113880035000aabcd7a7a",
        },
        Vector {
            description: "NAT, way in: an SCTP INIT, its CRC computed afresh",
            rewrite: nat(None, Some("10.0.0.5:8080")),
            input: "450000341234400040843bd3c000020ac63364019c400050000000002cf083d701000014cafe0001 \
                00010000000a000a00000007",
            output: "45000034123440003f845d03c000020a0a0000059c401f90000000006dfeae3501000014cafe0001 \
                00010000000a000a00000007",
        },
        Vector {
            description: "NAT, way out: SCTP data over IPv6",
            rewrite: nat(Some("[2001:db8:1::1]:80"), None),
            input: "6000000000248440fd00000000000000000000000000000520010db8000000000000000000000010 \
                1f909c40cafe0001ce6dea150003001500000009000000000000000068656c6c6f000000",
            output: "600000000024843f20010db800010000000000000000000120010db8000000000000000000000010 \
                00509c40cafe0001e085b1c40003001500000009000000000000000068656c6c6f000000",
        },
        Vector {
            description: "NAT: the port of SCTP stays, and so does a wrong CRC",
            rewrite: nat(None, Some("10.0.0.5:80")),
            input: "450000381234400040843bcfc000020ac63364019c400050000000051235dbcb0003001500000009 \
                000000000000000068656c6c6f000000",
            output: "45000038123440003f845cffc000020a0a0000059c400050000000051235dbcb0003001500000009 \
                000000000000000068656c6c6f000000",
        },
        Vector {
            description: "NAT, way in: an error about an SCTP reply",
            rewrite: nat(None, Some("10.0.0.5:8080")),
            input: "45000038123440004001c252cb007109c63364010303606b000000004500001c123440003c843feb \
                c6336401c000020a00509c4000000001",
            output: "45000038123440003f01e382cb0071090a0000050303412b000000004500001c123440003c84601b \
                0a000005c000020a1f909c4000000001",
        },
        Vector {
            description: "NAT, way in: ESP, whose ISAKMP exchange has the ports",
            rewrite: nat(None, Some("10.0.0.5:500")),
            input: "4500002c1234400040323c2dc000020ac6336401000102030405060708090a0b0c0d0e0f10111213 \
                14151617",
            output: "4500002c123440003f325d5dc000020a0a000005000102030405060708090a0b0c0d0e0f10111213 \
                14151617",
        },
        Vector {
            description: "NAT, way out: ESP over IPv6",
            rewrite: nat(Some("[2001:db8:1::1]:500"), None),
            input: "6000000000183240fd00000000000000000000000000000520010db8000000000000000000000010 \
                000102030405060708090a0b0c0d0e0f1011121314151617",
            output: "600000000018323f20010db800010000000000000000000120010db8000000000000000000000010 \
                000102030405060708090a0b0c0d0e0f1011121314151617",
        },
        Vector {
            description: "NAT, way in: AH",
            rewrite: nat(None, Some("10.0.0.5:500")),
            input: "4500002c1234400040333c2cc000020ac6336401000102030405060708090a0b0c0d0e0f10111213 \
                14151617",
            output: "4500002c123440003f335d5cc000020a0a000005000102030405060708090a0b0c0d0e0f10111213 \
                14151617",
        },
        Vector {
            description: "NAT, way out: an error about ESP, which has no ports",
            rewrite: nat(Some("[2001:db8:1::1]:500"), None),
            input: "6000000000343a40fd00000000000000000000000000000520010db8000000000000000000000010 \
                010412a900000000600000000004323c20010db8000000000000000000000010fd00000000000000 \
                000000000000000501020304",
            output: "6000000000343a3f20010db800010000000000000000000120010db8000000000000000000000010 \
                0104b13e00000000600000000004323c20010db800000000000000000000001020010db800010000 \
                000000000000000101020304",
        },
    ]
}

#[test]
fn packets_before_and_after() {
    for v in vectors() {
        let input = ethernet(&unhex(v.input));
        let sent = Case::of(&input, NONE).emit(v.rewrite).unwrap();
        assert_eq!(sent.len(), 1, "{}", v.description);
        let (link, packet) = sent[0].bytes.split_at(14);
        assert_eq!(sent[0].offload, NONE, "{}", v.description);
        assert_eq!(link[..12], [NEXT.0, OWN.0].concat(), "{}", v.description);
        let output = unhex(v.output);
        assert_eq!(link[12..], ethernet(&output)[12..14], "{}", v.description);
        assert_eq!(hex(packet), hex(&output), "{}", v.description);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
