use super::*;
use expect_test::expect;

fn names<T: AsRef<str>>(list: &[T]) -> String {
    list.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",")
}

fn list(names: &str) -> Option<Vec<String>> {
    Some(names.split(',').map(str::to_owned).collect())
}

#[test]
fn the_offer_is_exactly_this() {
    let ours = preferred(&Algorithms::default(), &Recorded::default()).unwrap();
    let keys: Vec<_> = ours.key.iter().map(|key| key.as_str().to_owned()).collect();
    let certificates: Vec<_> = ours
        .host_key_certificates
        .iter()
        .map(|key| key.as_str().to_owned())
        .collect();
    expect![[r#"
        kex mlkem768x25519-sha256,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256,ext-info-c,kex-strict-c-v00@openssh.com
        key ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256
        cipher aes256-gcm@openssh.com,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr
        mac hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256
        compression none
        certificates ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256
    "#]]
    .assert_eq(&format!(
        "kex {}\nkey {}\ncipher {}\nmac {}\ncompression {}\ncertificates {}\n",
        names(&ours.kex),
        names(&keys),
        names(&ours.cipher),
        names(&ours.mac),
        names(&ours.compression),
        names(&certificates),
    ));
}

#[test]
fn the_users_order_is_kept_and_what_is_weak_or_unknown_is_left_out() {
    let wanted = Algorithms {
        key_exchanges: list(
            "sntrup761x25519-sha512@openssh.com,diffie-hellman-group15-sha512,\
             diffie-hellman-group14-sha1,curve25519-sha256,curve25519-sha256,\
             diffie-hellman-group1-sha1,diffie-hellman-group-exchange-sha1",
        ),
        ciphers: list("3des-cbc,aes128-ctr,arcfour,aes256-cbc,aes256-gcm@openssh.com,none"),
        macs: list(
            "hmac-md5,umac-64@openssh.com,hmac-sha2-256,hmac-sha1-etm@openssh.com,hmac-sha1",
        ),
        host_keys: list("ssh-rsa,rsa-sha2-256,ssh-dss,ssh-ed25519"),
        keeps_host_key_order: true,
        public_keys: None,
    };
    let offer = preferred(&wanted, &Recorded::default()).unwrap();
    assert_eq!(
        names(&offer.kex),
        "diffie-hellman-group15-sha512,curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com"
    );
    assert_eq!(names(&offer.cipher), "aes128-ctr,aes256-gcm@openssh.com");
    assert_eq!(names(&offer.mac), "hmac-sha2-256");
    assert_eq!(names(&offer.compression), "none");
    let keys: Vec<_> = offer
        .key
        .iter()
        .map(|key| key.as_str().to_owned())
        .collect();
    assert_eq!(names(&keys), "rsa-sha2-256,ssh-ed25519");
    assert_eq!(
        unusable(&wanted),
        [
            "sntrup761x25519-sha512@openssh.com",
            "diffie-hellman-group14-sha1",
            "diffie-hellman-group1-sha1",
            "diffie-hellman-group-exchange-sha1",
            "3des-cbc",
            "arcfour",
            "aes256-cbc",
            "none",
            "hmac-md5",
            "umac-64@openssh.com",
            "hmac-sha1-etm@openssh.com",
            "hmac-sha1",
            "ssh-rsa",
            "ssh-dss",
        ]
    );
}

#[test]
fn a_list_without_anything_usable_says_so() {
    let weak = |change: &dyn Fn(&mut Algorithms)| {
        let mut wanted = Algorithms::default();
        change(&mut wanted);
        match preferred(&wanted, &Recorded::default()) {
            Err(Cause::NoUsableAlgorithm {
                kind,
                names,
                usable,
            }) => {
                assert!(!usable.is_empty());
                format!("{} {}", kind.directive(), names.join(","))
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        weak(&|wanted| wanted.key_exchanges = list("diffie-hellman-group1-sha1,ext-info-c")),
        "KexAlgorithms diffie-hellman-group1-sha1,ext-info-c"
    );
    assert_eq!(
        weak(&|wanted| wanted.ciphers = list("3des-cbc")),
        "Ciphers 3des-cbc"
    );
    assert_eq!(
        weak(&|wanted| wanted.macs = list("hmac-md5,hmac-sha1")),
        "MACs hmac-md5,hmac-sha1"
    );
    assert_eq!(
        weak(&|wanted| wanted.host_keys = list("ssh-rsa")),
        "HostKeyAlgorithms ssh-rsa"
    );
}

#[test]
fn nothing_is_left_out_of_our_own_lists() {
    assert_eq!(unusable(&Algorithms::default()), Vec::<String>::new());
}

#[test]
fn ciphers_that_need_no_mac_do_not_ask_for_one() {
    let asking = |ciphers| Algorithms {
        ciphers: list(ciphers),
        macs: list("hmac-md5,umac-64@openssh.com"),
        ..Algorithms::default()
    };
    let aead = asking("aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-cbc");
    let offer = preferred(&aead, &Recorded::default()).unwrap();
    assert_eq!(names(&offer.mac), names(MACS));
    let mixed = asking("aes256-gcm@openssh.com,aes256-ctr");
    let refused = preferred(&mixed, &Recorded::default());
    assert!(
        matches!(
            refused,
            Err(Cause::NoUsableAlgorithm {
                kind: AlgorithmList::Mac,
                ..
            })
        ),
        "{refused:?}"
    );
}
