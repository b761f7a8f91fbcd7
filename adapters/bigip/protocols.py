"""What IP protocols are called on the device.

A rule takes a number, and is shown with a name where the device has one: those of its configuration schema, with the numbers that IANA
assigned. `any` is 255 there, so that number stands for nothing else.
"""

from collections.abc import Mapping

from bridge.model.policy import NUMBERS, Protocol

_NAMED: Mapping[Protocol, str] = {
    Protocol.TCP: "tcp",
    Protocol.UDP: "udp",
    Protocol.SCTP: "sctp",
    Protocol.ICMP: "icmp",
    Protocol.ICMPV6: "ipv6-icmp",
}
_OTHERS = """
2 igmp 3 ggp 4 ipv4 5 st 7 cbt 8 egp 9 igp 10 bbn-rcc 11 nvp 12 pup 13 argus 14 emcon 15 xnet 16 chaos 18 mux 19 dcn 20 hmp 21 prm
22 xns-idp 23 trunk-1 24 trunk-2 25 leaf-1 26 leaf-2 27 rdp 28 irtp 29 iso-tp4 30 netblt 31 mfe-nsp 32 merit-inp 33 dccp 34 3pc 35 idpr
36 xtp 37 ddp 38 idpr-cmtp 39 tp++ 40 il 41 ipv6 42 sdrp 43 ipv6-route 44 ipv6-frag 45 idrp 46 rsvp 47 gre 48 dsr 49 bna 50 esp
50 ipv6-crypt 51 ah 51 ipv6-auth 52 i-nlsp 53 swipe 54 narp 55 mobile 56 tlsp 57 skip 59 ipv6-nonxt 60 ipv6-opts 62 cftp 64 sat-expak
65 kryptolan 66 rvd 67 ippc 69 sat-mon 70 visa 71 ipcv 72 cpnx 73 cphb 74 wsn 75 pvp 76 br-sat-mon 77 sun-nd 78 wb-mon 79 wb-expak
80 iso-ip 81 vmtp 82 secure-vmtp 83 vines 84 ttp 85 nsfnet-igp 86 dgp 87 tcf 88 eigrp 89 ospf 90 sprite-rpc 91 larp 92 mtp 93 ax.25
94 ipip 95 micp 96 scc-sp 97 etherip 98 encap 100 gmtp 101 ifmp 102 pnni 103 pim 104 aris 105 scps 106 qnx 107 a/n 108 ipcomp 109 snp
110 compaq-peer 111 ipx-in-ip 112 vrrp 113 pgm 115 l2tp 116 ddx 117 iatp 118 stp 119 srp 120 uti 121 smp 122 sm 123 ptp 124 isis 125 fire
126 crtp 127 crdup 128 sscopmce 129 iplt 130 sps 131 pipe 133 fc 134 rsvp-e2e-ignore 135 mobility-header 136 udplite 137 mpls-in-ip
138 manet 139 hip 140 shim6 141 wesp 142 rohc
"""
_WORDS = _OTHERS.split()
_NUMBER_OF = dict(zip(_WORDS[1::2], map(int, _WORDS[::2]), strict=True)) | {
    name: NUMBERS[protocol] for protocol, name in _NAMED.items()
}
_NAME_OF = {number: name for name, number in reversed(_NUMBER_OF.items())}  # the first of several names
_PROTOCOL_OF = {number: protocol for protocol, number in NUMBERS.items()}


def written(protocol: Protocol, number: int) -> str:
    """What a rule says for a protocol, or for OTHER and its number."""
    if protocol is Protocol.ANY:
        return "any"
    return str(number) if protocol is Protocol.OTHER else _NAMED[protocol]


def named(protocol: Protocol, number: int) -> str:
    """What a declaration says, which takes no numbers; empty for a number without a name."""
    word = written(protocol, number)
    return _NAME_OF.get(number, "") if word.isdecimal() else word


def read(word: str) -> tuple[Protocol, int] | None:
    """The protocol of a rule, and its number where it is OTHER; None for a word that is none of the device's, or that we never write."""
    if word == "any":
        return Protocol.ANY, 0
    number = _NUMBER_OF.get(word, int(word) if word.isascii() and word.isdecimal() else 0)
    if number in _PROTOCOL_OF:
        return _PROTOCOL_OF[number], 0
    return (Protocol.OTHER, number) if 1 <= number <= 254 else None
