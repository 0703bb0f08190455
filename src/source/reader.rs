//! Sources made ready for reading. What a request has is borrowed where it stands there as such; only addresses, claims and
//! joined texts are made.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use ::http::HeaderName;
use ::http::header::AUTHORIZATION;

use super::{Cut, Place, Prefixes, Source, bearer, parameter};
use crate::http::cookie::{CookieNames, Cookies};
use crate::http::path::without_parameters;
use crate::http::request::Request;

/// A [`Source`] whose cookies are numbered: it reads requests whose Cookie header has been walked for the names it was bound
/// with.
#[derive(Clone, Debug)]
pub struct Reader {
    place: Bound,
    cut: Cut,
}

/// Sources in the order in which they are asked.
#[derive(Clone, Debug, Default)]
pub struct Readers(Box<[Reader]>);

/// What a request has in a source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found<'r> {
    /// All that stands there.
    pub whole: Cow<'r, [u8]>,
    cut: Range<usize>,
}

/// A [`Place`], its cookies by their numbers.
#[derive(Clone, Debug)]
enum Bound {
    ClientIp(Prefixes),
    Cookie(usize),
    Header(HeaderName),
    Query(String),
    PathParameter(String),
    BearerClaim(String),
    Path,
    All(Box<[Reader]>),
}

impl Source {
    /// Makes the reader of a source. Its cookies are added to `names`, which are to be found in each request.
    pub fn bind(self, names: &mut CookieNames) -> Reader {
        let place = match self.place {
            Place::ClientIp(prefixes) => Bound::ClientIp(prefixes),
            Place::Cookie(name) => Bound::Cookie(names.number(&name)),
            Place::Header(name) => Bound::Header(name),
            Place::Query(name) => Bound::Query(name),
            Place::PathParameter(name) => Bound::PathParameter(name),
            Place::BearerClaim(name) => Bound::BearerClaim(name),
            Place::Path => Bound::Path,
            Place::All(parts) => Bound::All(parts.into_iter().map(|part| part.bind(names)).collect()),
        };
        Reader { place, cut: self.cut }
    }
}

impl Readers {
    /// Makes the readers of sources, as [`Source::bind`] does for one.
    pub fn bind(sources: Vec<Source>, names: &mut CookieNames) -> Self {
        Self(sources.into_iter().map(|source| source.bind(names)).collect())
    }

    /// All that stands in the sources, in their order, every cookie and header of a name: a browser that has two of one name
    /// for two paths sends both, and which of them the application means only the application knows.
    pub fn each<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>, mut take: impl FnMut(Found<'r>)) {
        for reader in &self.0 {
            let _: Option<()> = reader.search(request, cookies, |found| {
                take(found);
                None
            });
        }
    }

    /// What stands in the first source that has something.
    pub fn read<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>) -> Option<Found<'r>> {
        self.0.iter().find_map(|reader| reader.read(request, cookies))
    }
}

impl Reader {
    /// What a request has in the source. None where that is nothing, so that such requests do not share one name. Of several
    /// cookies, headers or parameters of the name it is the first of which the cut leaves something.
    pub fn read<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>) -> Option<Found<'r>> {
        self.search(request, cookies, Some)
    }

    /// Goes through all that stands in the source until `take` gives something.
    fn search<'r, T>(
        &self,
        request: &Request<'r>,
        cookies: &Cookies<'r>,
        mut take: impl FnMut(Found<'r>) -> Option<T>,
    ) -> Option<T> {
        let mut found = |text: Cow<'r, [u8]>| take(self.cut_from(text)?);
        let mut borrowed = |text: &'r [u8]| found(Cow::Borrowed(text));
        let headers = |name: &HeaderName| request.headers.get_all(name).iter().map(|value| value.as_bytes());
        match &self.place {
            Bound::Cookie(number) => cookies.values(*number).find_map(borrowed),
            Bound::Header(name) => headers(name).find_map(borrowed),
            Bound::Query(name) => parameter::of_query(request.query?, name).map(str::as_bytes).find_map(borrowed),
            Bound::PathParameter(name) => parameter::of_path(request.path, name).map(str::as_bytes).find_map(borrowed),
            Bound::BearerClaim(name) => {
                let claims = headers(&AUTHORIZATION).filter_map(|header| bearer::claim(header, name));
                claims.map(|claim| Cow::Owned(claim.into_bytes())).find_map(found)
            }
            Bound::ClientIp(prefixes) => found(Cow::Owned(octets(prefixes.mask(request.client)))),
            Bound::Path => match without_parameters(request.path) {
                Cow::Borrowed(path) => borrowed(path.as_bytes()),
                Cow::Owned(path) => found(Cow::Owned(path.into_bytes())),
            },
            Bound::All(parts) => found(Cow::Owned(joined(parts, request, cookies)?)),
        }
    }

    fn cut_from<'r>(&self, whole: Cow<'r, [u8]>) -> Option<Found<'r>> {
        let cut = self.cut.of(&whole)?;
        Some(Found { whole, cut })
    }
}

impl Found<'_> {
    /// What the cut leaves of it: never empty.
    pub fn text(&self) -> &[u8] {
        &self.whole[self.cut.clone()]
    }
}

impl<'r> Found<'r> {
    /// The same as characters, without the rest. None for octets that are none.
    pub fn into_text(self) -> Option<Cow<'r, str>> {
        match self.whole {
            Cow::Borrowed(whole) => std::str::from_utf8(&whole[self.cut]).ok().map(Cow::Borrowed),
            Cow::Owned(whole) => std::str::from_utf8(&whole[self.cut]).ok().map(|text| Cow::Owned(text.to_owned())),
        }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// The texts of all parts, each behind its length, so that one's end is not another's beginning.
fn joined<'r>(parts: &[Reader], request: &Request<'r>, cookies: &Cookies<'r>) -> Option<Vec<u8>> {
    let mut joined = Vec::with_capacity(64);
    for part in parts {
        append(&mut joined, part.read(request, cookies)?.text());
    }
    Some(joined)
}

fn append(joined: &mut Vec<u8>, text: &[u8]) {
    joined.extend_from_slice(itoa::Buffer::new().format(text.len()).as_bytes());
    joined.push(b':');
    joined.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use ::http::header::{COOKIE, HeaderValue};
    use ::http::{HeaderMap, Method};
    use base64_simd::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;
    use crate::http::cookie::CookieName;
    use crate::http::request::Scheme;
    use crate::source::Separator;

    const PATH: &str = "/shop;jsessionid=1A2B.n2;empty=/cart;v=3";

    fn headers() -> HeaderMap {
        let token = URL_SAFE_NO_PAD.encode_to_string(r#"{"sub":"dan","tenant":12,"none":""}"#);
        HeaderMap::from_iter([
            (COOKIE, HeaderValue::from_static("a=1; user=; user=ann; empty=; sid=1A2B; sid=3C4D.n1")),
            ("x-user".parse().unwrap(), HeaderValue::from_static("")),
            ("x-user".parse().unwrap(), HeaderValue::from_static("bob.n3")),
            (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer h.{token}.s")).unwrap()),
        ])
    }

    fn request<'r>(headers: &'r HeaderMap, path: &'r str, query: Option<&'r str>) -> Request<'r> {
        let (method, client) = (&Method::GET, [192, 0, 2, 77].into());
        Request { method, host: "shop", path, query, headers, client, scheme: Scheme::Http }
    }

    fn find<T>(source: Source, read: impl FnOnce(Option<Found<'_>>) -> T) -> T {
        let headers = headers();
        let request = request(&headers, PATH, Some("q=1&user=&user=c%69d&empty="));
        let mut names = CookieNames::default();
        let reader = source.bind(&mut names);
        read(reader.read(&request, &names.find(&headers)))
    }

    fn text(source: impl Into<Source>) -> Option<String> {
        find(source.into(), |found| found.map(|found| String::from_utf8_lossy(found.text()).into_owned()))
    }

    fn cookie(name: &str) -> Place {
        Place::Cookie(CookieName::parse(name).unwrap())
    }

    fn header(name: &'static str) -> Place {
        Place::Header(HeaderName::from_static(name))
    }

    fn query(name: &str) -> Place {
        Place::Query(name.into())
    }

    fn path_parameter(name: &str) -> Place {
        Place::PathParameter(name.into())
    }

    fn bearer_claim(name: &str) -> Place {
        Place::BearerClaim(name.into())
    }

    fn all<const N: usize>(parts: [Place; N]) -> Place {
        Place::All(parts.into_iter().map(Source::from).collect())
    }

    fn route(place: Place) -> Source {
        Source { place, cut: Cut { after: Separator::parse(".").ok(), ..Cut::default() } }
    }

    #[test]
    fn a_name_is_read_where_its_source_says() {
        assert_eq!(text(cookie("user")).as_deref(), Some("ann"));
        assert_eq!(text(header("x-user")).as_deref(), Some("bob.n3"));
        assert_eq!(text(query("user")).as_deref(), Some("c%69d"));
        assert_eq!(text(path_parameter("jsessionid")).as_deref(), Some("1A2B.n2"));
        assert_eq!(text(bearer_claim("sub")).as_deref(), Some("dan"));
        assert_eq!(text(bearer_claim("tenant")).as_deref(), Some("12"));
        assert_eq!(text(Place::Path).as_deref(), Some("/shop/cart"));
    }

    #[test]
    fn a_client_is_its_address_as_far_as_the_prefix() {
        let octets = |prefixes| find(Place::ClientIp(prefixes).into(), |found| found.unwrap().text().to_vec());
        assert_eq!(octets(Prefixes::default()), [192, 0, 2, 77]);
        assert_eq!(octets(Prefixes { v4: 24, v6: 56 }), [192, 0, 2, 0]);
    }

    #[test]
    fn what_is_absent_or_empty_is_no_name() {
        let empty = [cookie("empty"), query("empty"), path_parameter("empty"), bearer_claim("none"), Place::All(vec![])];
        let none = [cookie("none"), header("x-none"), query("use"), path_parameter("V"), bearer_claim("SUB")];
        for place in empty.into_iter().chain(none) {
            assert_eq!(text(place.clone()), None, "{place:?}");
        }
    }

    #[test]
    fn a_cut_leaves_a_part_and_the_whole_is_still_known() {
        let both = |found: Option<Found<'_>>| {
            found.map(|found| [&found.whole, found.text()].map(|text| String::from_utf8_lossy(text).into_owned()))
        };
        assert_eq!(find(route(header("x-user")), both).unwrap(), ["bob.n3", "n3"]);
        assert_eq!(find(route(path_parameter("jsessionid")), both).unwrap(), ["1A2B.n2", "n2"]);
        assert_eq!(find(route(cookie("user")), both), None);
    }

    #[test]
    fn of_several_cookies_of_a_name_the_first_of_which_something_is_left_counts() {
        assert_eq!(text(cookie("sid")).as_deref(), Some("1A2B"));
        assert_eq!(text(route(cookie("sid"))).as_deref(), Some("n1"));
    }

    #[test]
    fn all_that_stands_in_a_list_of_sources_is_read_in_their_order() {
        let headers = headers();
        let request = request(&headers, PATH, Some("user=c%69d&user=dan"));
        let mut names = CookieNames::default();
        let places = [header("x-user"), cookie("sid"), cookie("empty"), cookie("none"), query("user")];
        let readers = Readers::bind(places.map(Source::from).into(), &mut names);
        let mut all = Vec::new();
        readers.each(&request, &names.find(&headers), |found| all.push(String::from_utf8_lossy(found.text()).into_owned()));
        assert_eq!(all, ["bob.n3", "1A2B", "3C4D.n1", "c%69d", "dan"]);
    }

    #[test]
    fn what_the_request_holds_is_not_copied() {
        let copied = [bearer_claim("sub"), Place::ClientIp(Prefixes::default()), all([cookie("user")]), Place::Path];
        for place in copied {
            assert!(find(place.clone().into(), |found| matches!(found.unwrap().whole, Cow::Owned(_))), "{place:?}");
        }
        for place in [cookie("user"), header("x-user"), query("user"), path_parameter("v")] {
            assert!(find(place.clone().into(), |found| matches!(found.unwrap().whole, Cow::Borrowed(_))), "{place:?}");
        }
    }

    #[test]
    fn a_composite_is_there_if_every_part_is() {
        assert_eq!(text(all([cookie("user"), query("user")])).as_deref(), Some("3:ann5:c%69d"));
        assert_eq!(text(all([query("user"), cookie("user")])).as_deref(), Some("5:c%69d3:ann"));
        assert_eq!(text(all([cookie("user"), query("empty")])), None);
        assert_eq!(text(Place::All(vec![route(header("x-user")), cookie("a").into()])).as_deref(), Some("2:n31:1"));
    }

    #[test]
    fn the_first_source_that_has_something_is_read() {
        let headers = headers();
        let request = request(&headers, PATH, None);
        let read = |places: Vec<Place>| {
            let mut names = CookieNames::default();
            let readers = Readers::bind(places.into_iter().map(Source::from).collect(), &mut names);
            let found = readers.read(&request, &names.find(&headers));
            found.map(|found| String::from_utf8_lossy(found.text()).into_owned())
        };
        assert_eq!(read(vec![cookie("none"), query("user"), header("x-user"), cookie("user")]).as_deref(), Some("bob.n3"));
        assert_eq!(read(vec![cookie("empty"), query("user")]), None);
        assert_eq!(read(vec![]), None);
    }

    proptest! {
        #[test]
        fn two_lists_of_parts_never_give_one_text(
            one in prop::collection::vec("[0-9:a]{0,12}", 0..4), other in prop::collection::vec("[0-9:a]{0,12}", 0..4)
        ) {
            let joined = |parts: &[String]| {
                parts.iter().fold(Vec::new(), |mut joined, part| {
                    append(&mut joined, part.as_bytes());
                    joined
                })
            };
            prop_assert_eq!(joined(&one) == joined(&other), one == other);
            // A list that looks like the other one's text is still another list.
            let quoted = vec![String::from_utf8(joined(&one)).unwrap()];
            prop_assert!(joined(&quoted) != joined(&one));
        }

        #[test]
        fn reading_is_total_on_any_request(
            path: String, query: Option<String>, cookies in "[an=; .\"]{0,24}", token in prop::collection::vec(32..=255_u8, 0..64)
        ) {
            let token = [b"Bearer ", token.as_slice()].concat();
            let value = |octets: &[u8]| HeaderValue::from_bytes(octets).unwrap_or(HeaderValue::from_static(""));
            let headers = HeaderMap::from_iter([(COOKIE, value(cookies.as_bytes())), (AUTHORIZATION, value(&token))]);
            let request = request(&headers, &path, query.as_deref());
            let places = [cookie("a"), header("authorization"), Place::Query("a".into()), path_parameter("a"), bearer_claim("a")];
            let sources = places.into_iter().flat_map(|place| [route(place.clone()), route(place.clone()), place.into()]);
            let mut names = CookieNames::default();
            let all = Place::All(sources.clone().collect()).into();
            let readers: Vec<Reader> = sources.chain([all]).map(|source: Source| source.bind(&mut names)).collect();
            for reader in readers {
                if let Some(found) = reader.read(&request, &names.find(&headers)) {
                    prop_assert!(!found.text().is_empty() && found.text().len() <= found.whole.len());
                }
            }
        }
    }
}
