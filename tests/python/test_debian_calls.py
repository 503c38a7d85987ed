"""C libraries of Debian, called as their manuals say, with results that are known."""

import array
import json
import os
import zlib as python_zlib

import pytest

pytestmark = pytest.mark.one_python


@pytest.fixture(scope="module")
def load(debian):
    """``load("zlib")``: the interface of that library, made once."""
    loaded = {}

    def get(name: str, **options):
        library = debian(name)
        key = (name, *sorted(options.items()))
        if key not in loaded:
            loaded[key] = library.interface(**options)
        return loaded[key]

    return get


def test_qsort_and_bsearch_compare_in_python(load):
    libc = load("libc")

    def compare(a, b):
        a, b = libc.cast(a, "int *")[0], libc.cast(b, "int *")[0]
        return (a > b) - (a < b)

    numbers = array.array("i", [5, -3, 9, 0, 7])
    libc.qsort(numbers, len(numbers), numbers.itemsize, compare)
    assert numbers.tolist() == [-3, 0, 5, 7, 9]
    kept = libc.new("int[5]", numbers.tolist())
    found = libc.bsearch(libc.ref("int", 7), kept, 5, libc.sizeof("int"), compare)
    assert int(found) - int(libc.cast(kept, "int *")) == 3 * libc.sizeof("int")
    assert libc.bsearch(libc.ref("int", 8), kept, 5, libc.sizeof("int"), compare) is None


def test_a_comparators_exception_comes_out_of_qsort(load):
    libc = load("libc")
    numbers = array.array("i", [2, 1])
    with pytest.raises(ZeroDivisionError):
        libc.qsort(numbers, 2, 4, lambda a, b: 1 // 0)


def test_libc_takes_variable_arguments_and_returns_records(load):
    libc = load("libc")
    text = bytearray(32)
    assert libc.snprintf(text, len(text), "%s=%d %.2f", "n", 42, 1.5) == 9
    assert text.rstrip(b"\0") == b"n=42 1.50"
    number, word = libc.ref("int"), bytearray(8)
    assert libc.sscanf("17 apples", "%d %7s", number, word) == 2
    assert (number.value, word.rstrip(b"\0")) == (17, b"apples")
    division = libc.div(17, 5)
    assert (division.quot, division.rem) == (3, 2)
    moment = libc.new("struct tm", tm_year=124, tm_mon=1, tm_mday=30)
    assert libc.timegm(moment) == 1709251200
    assert (moment.tm_mon, moment.tm_mday, moment.tm_wday) == (2, 1, 5)


def test_zlib_streams(load):
    zlib = load("zlib")
    # next_in is no pointer to const, unless ZLIB_CONST is defined.
    text = bytearray(b"to be, or not to be: " * 400)
    stream = zlib.new("z_stream")
    version, size = zlib.ZLIB_VERSION, zlib.sizeof("z_stream")
    assert zlib.deflateInit_(stream, zlib.Z_BEST_COMPRESSION, version, size) == zlib.Z_OK
    packed = bytearray()
    stream.next_in, stream.avail_in = text, len(text)
    while True:
        out = bytearray(64)
        stream.next_out, stream.avail_out = out, len(out)
        status = zlib.deflate(stream, zlib.Z_FINISH)
        packed += out[: len(out) - stream.avail_out]
        if status == zlib.Z_STREAM_END:
            break
        assert status == zlib.Z_OK
    assert (stream.total_in, stream.total_out) == (len(text), len(packed))
    assert zlib.deflateEnd(stream) == zlib.Z_OK
    assert python_zlib.decompress(packed) == text

    stream = zlib.new("z_stream")
    assert zlib.inflateInit_(stream, version, size) == zlib.Z_OK
    out = bytearray(len(text))
    stream.next_out, stream.avail_out = out, len(out)
    for start in range(0, len(packed), 10):
        piece = packed[start : start + 10]
        stream.next_in, stream.avail_in = piece, len(piece)
        status = zlib.inflate(stream, zlib.Z_NO_FLUSH)
    assert status == zlib.Z_STREAM_END
    assert out == text
    assert zlib.inflateReset(stream) == zlib.Z_OK
    stream.next_in, stream.avail_in = bytearray(b"no zlib data"), 12
    assert zlib.inflate(stream, zlib.Z_NO_FLUSH) == zlib.Z_DATA_ERROR
    assert stream.msg == b"incorrect header check"
    assert zlib.inflateEnd(stream) == zlib.Z_OK
    assert zlib.crc32(0, text, len(text)) == python_zlib.crc32(text)


def test_sqlite_calls_back_for_each_row(load):
    sqlite = load("sqlite3")
    handle = sqlite.ref("sqlite3 *")
    assert sqlite.sqlite3_open(":memory:", handle) == sqlite.SQLITE_OK
    db = handle.pointer
    script = "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'one'), (2, NULL), (3, 'three');"
    assert sqlite.sqlite3_exec(db, script, None, None, None) == sqlite.SQLITE_OK
    rows = []

    def row(user, count, values, names):
        rows.append({names[i]: values[i] for i in range(count)})
        return 0

    assert sqlite.sqlite3_exec(db, "SELECT * FROM t", row, None, None) == sqlite.SQLITE_OK
    assert rows == [{b"a": b"1", b"b": b"one"}, {b"a": b"2", b"b": None}, {b"a": b"3", b"b": b"three"}]
    assert sqlite.sqlite3_exec(db, "SELECT * FROM t", lambda *_: 1, None, None) == sqlite.SQLITE_ABORT
    message = sqlite.ref("char *")
    assert sqlite.sqlite3_exec(db, "SELEC", None, None, message) == sqlite.SQLITE_ERROR
    assert message.value == b'near "SELEC": syntax error'
    assert sqlite.sqlite3_errmsg(db) == message.value
    sqlite.sqlite3_free(message.pointer)

    prepared = sqlite.ref("sqlite3_stmt *")
    query = "SELECT a, b FROM t WHERE a >= ? ORDER BY a"
    assert sqlite.sqlite3_prepare_v2(db, query, -1, prepared, None) == sqlite.SQLITE_OK
    with sqlite.own(prepared.pointer, sqlite.sqlite3_finalize) as statement:
        assert sqlite.sqlite3_bind_int64(statement, 1, 2) == sqlite.SQLITE_OK
        found = []
        while sqlite.sqlite3_step(statement) == sqlite.SQLITE_ROW:
            text = sqlite.sqlite3_column_text(statement, 1)
            length = sqlite.sqlite3_column_bytes(statement, 1)
            text = text and bytes(sqlite.buffer(text, length))
            found.append((sqlite.sqlite3_column_int(statement, 0), text))
        assert found == [(2, None), (3, b"three")]
        assert sqlite.sqlite3_reset(statement) == sqlite.SQLITE_OK
        # SQLITE_TRANSIENT is ((sqlite3_destructor_type)-1): sqlite copies the text.
        transient = sqlite.SQLITE_TRANSIENT
        assert sqlite.sqlite3_bind_text(statement, 1, b"3", -1, transient) == sqlite.SQLITE_OK
        assert sqlite.sqlite3_step(statement) == sqlite.SQLITE_DONE
    assert sqlite.sqlite3_close(db) == sqlite.SQLITE_OK


def test_expat_reports_elements_and_text(load):
    expat = load("expat")
    events = []

    @expat.callback("XML_StartElementHandler")
    def start(user, name, attributes):
        pairs, i = {}, 0
        while attributes[i]:
            pairs[attributes[i]] = attributes[i + 1]
            i += 2
        events.append(("start", name, pairs))

    @expat.callback("XML_EndElementHandler")
    def end(user, name):
        events.append(("end", name))

    @expat.callback("XML_CharacterDataHandler")
    def data(user, text, length):
        events.append(("data", text[:length]))

    with expat.own(expat.XML_ParserCreate(None), expat.XML_ParserFree) as parser:
        expat.XML_SetElementHandler(parser, start, end)
        expat.XML_SetCharacterDataHandler(parser, data)
        text = b'<a x="1" y="2">one<b/>two</a>'
        assert expat.XML_Parse(parser, text, len(text), 1) == expat.XML_STATUS_OK
    assert events == [
        ("start", b"a", {b"x": b"1", b"y": b"2"}),
        ("data", b"one"),
        ("start", b"b", {}),
        ("end", b"b"),
        ("data", b"two"),
        ("end", b"a"),
    ]
    with expat.own(expat.XML_ParserCreate("UTF-8"), expat.XML_ParserFree) as parser:
        assert expat.XML_Parse(parser, "<a>\n</b>", 8, 1) == expat.XML_STATUS_ERROR
        assert expat.XML_GetErrorCode(parser) == expat.XML_ERROR_TAG_MISMATCH
        assert expat.XML_GetErrorCode(parser).name == "XML_ERROR_TAG_MISMATCH"
        # A macro of expat.h's for XML_GetCurrentLineNumber.
        assert expat.XML_GetErrorLineNumber(parser) == 2
        assert expat.XML_ErrorString(expat.XML_ERROR_TAG_MISMATCH) == b"mismatched tag"


def test_gsl_works_in_numpys_memory(load):
    numpy, gsl = pytest.importorskip("numpy"), load("gsl")
    values = numpy.array([1.0, 2.0, 4.0, 9.0])
    assert gsl.gsl_stats_mean(values, 1, len(values)) == 4.0
    assert gsl.gsl_stats_variance(values, 1, len(values)) == pytest.approx(values.var(ddof=1))
    # Every second value: mean of 1 and 4.
    assert gsl.gsl_stats_mean(values, 2, 2) == 2.5
    view = gsl.gsl_vector_view_array(values, len(values))
    assert gsl.gsl_vector_max(view.vector) == 9.0
    gsl.gsl_vector_scale(view.vector, 2.0)
    assert values.tolist() == [2.0, 4.0, 8.0, 18.0]


def test_gsl_solves_linear_equations(load):
    numpy, gsl = pytest.importorskip("numpy"), load("gsl")
    a, b, x = numpy.array([[2.0, 1.0], [1.0, 3.0]]), numpy.array([3.0, 5.0]), numpy.zeros(2)
    matrix = gsl.gsl_matrix_view_array(a, 2, 2)
    rhs, solution = gsl.gsl_vector_view_array(b, 2), gsl.gsl_vector_view_array(x, 2)
    sign = gsl.ref("int")
    with gsl.own(gsl.gsl_permutation_alloc(2), gsl.gsl_permutation_free) as p:
        assert gsl.gsl_linalg_LU_decomp(matrix.matrix, p, sign) == gsl.GSL_SUCCESS
        assert gsl.gsl_linalg_LU_solve(matrix.matrix, p, rhs.vector, solution.vector) == gsl.GSL_SUCCESS
    assert x.tolist() == pytest.approx([0.8, 1.4])


def test_gsl_integrates_a_python_function(load):
    gsl = load("gsl")

    function = gsl.new("gsl_function", function=lambda x, parameters: x * x)
    result, error, evaluations = gsl.ref("double"), gsl.ref("double"), gsl.ref("size_t")
    arguments = (function, 0.0, 3.0, 1e-9, 1e-9, result, error, evaluations)
    assert gsl.gsl_integration_qng(*arguments) == gsl.GSL_SUCCESS
    assert result.value == pytest.approx(9.0)
    assert evaluations.value == 21
    assert gsl.gsl_sf_bessel_J0(5.0) == pytest.approx(-0.17759677131433830435)


def test_fftw_transforms_numpys_arrays(load):
    numpy, fftw = pytest.importorskip("numpy"), load("fftw3")
    signal = numpy.array([1.0, 2.0, 0.0, -1.0, 1.5, 3.0, -2.0, 0.5])
    spectrum = numpy.zeros(5, dtype=complex)
    out = fftw.cast(spectrum.ctypes.data, "fftw_complex *")
    plan = fftw.fftw_plan_dft_r2c_1d(8, signal, out, fftw.FFTW_ESTIMATE)
    with fftw.own(plan, fftw.fftw_destroy_plan):
        fftw.fftw_execute(plan)
    assert numpy.allclose(spectrum, numpy.fft.rfft(signal))


def test_curl_sets_options_of_any_type(load, tmp_path):
    curl = load("curl")
    source = tmp_path / "source.txt"
    source.write_bytes(b"over the file scheme\n" * 100)
    received = []

    @curl.callback("curl_write_callback")
    def write(data, size, count, user):
        received.append(data[: size * count])
        return size * count

    with curl.own(curl.curl_easy_init(), curl.curl_easy_cleanup) as handle:
        set_option = curl.curl_easy_setopt
        assert set_option(handle, curl.CURLOPT_URL, source.as_uri()) == curl.CURLE_OK
        assert set_option(handle, curl.CURLOPT_NOPROGRESS, 1) == curl.CURLE_OK
        assert set_option(handle, curl.CURLOPT_WRITEFUNCTION, write) == curl.CURLE_OK
        assert curl.curl_easy_perform(handle) == curl.CURLE_OK
        size, url = curl.ref("curl_off_t"), curl.ref("char *")
        assert curl.curl_easy_getinfo(handle, curl.CURLINFO_SIZE_DOWNLOAD_T, size) == curl.CURLE_OK
        assert curl.curl_easy_getinfo(handle, curl.CURLINFO_EFFECTIVE_URL, url) == curl.CURLE_OK
        assert (size.value, url.value.decode()) == (2100, source.as_uri())
        assert set_option(handle, curl.CURLOPT_URL, (tmp_path / "none").as_uri()) == curl.CURLE_OK
        status = curl.curl_easy_perform(handle)
        assert status is curl.CURLE_FILE_COULDNT_READ_FILE
        assert curl.curl_easy_strerror(status) == b"Couldn't read a file:// file"
    assert b"".join(received) == source.read_bytes()


def test_curl_takes_urls_apart(load):
    curl = load("curl")
    with curl.own(curl.curl_url(), curl.curl_url_cleanup) as url:
        assert (
            curl.curl_url_set(url, curl.CURLUPART_URL, "https://u@example.org:81/a?b=c#d", 0)
            == curl.CURLUE_OK
        )
        parts = {}
        for name in ("HOST", "PORT", "PATH", "QUERY", "FRAGMENT", "USER"):
            part = curl.ref("char *")
            assert curl.curl_url_get(url, getattr(curl, f"CURLUPART_{name}"), part, 0) == curl.CURLUE_OK
            parts[name] = part.value
            curl.curl_free(part.pointer)
    assert parts == {
        "HOST": b"example.org",
        "PORT": b"81",
        "PATH": b"/a",
        "QUERY": b"b=c",
        "FRAGMENT": b"d",
        "USER": b"u",
    }


def test_libxml2_parses_into_a_tree(load):
    xml = load("libxml2")
    text = b"<list><item id='1'>one</item><item id='2'>two</item></list>"
    assert xml.XML_XML_NAMESPACE == b"http://www.w3.org/XML/1998/namespace"
    with xml.own(xml.xmlReadMemory(text, len(text), "list.xml", None, 0), xml.xmlFreeDoc) as document:
        root = xml.xmlDocGetRootElement(document)
        assert xml.xmlStrEqual(root.name, b"list") == 1
        found, node = [], root.children
        while node:
            assert node.type is xml.XML_ELEMENT_NODE
            identity, content = node.properties.children.content, node.children.content
            found.append([bytes(xml.buffer(text, xml.xmlStrlen(text))) for text in (identity, content)])
            node = node.next
        assert found == [[b"1", b"one"], [b"2", b"two"]]
    assert xml.xmlReadMemory(b"<a>", 3, None, None, xml.XML_PARSE_NOERROR) is None
    assert xml.xmlGetLastError().message == b"Premature end of data in tag a line 1\n"


def test_pcre2_matches_under_the_manuals_names(load):
    pcre2 = load("pcre2")
    pattern, subject = b"(\\d+)-(\\d+)", b"from 10-25 on"
    number, offset = pcre2.ref("int"), pcre2.ref("size_t")
    code = pcre2.pcre2_compile(pattern, len(pattern), 0, number, offset, None)
    with pcre2.own(code, pcre2.pcre2_code_free):
        data = pcre2.pcre2_match_data_create_from_pattern(code, None)
        with pcre2.own(data, pcre2.pcre2_match_data_free):
            assert pcre2.pcre2_match(code, subject, len(subject), 0, 0, data, None) == 3
            places = pcre2.pcre2_get_ovector_pointer(data)
            assert [subject[places[2 * i] : places[2 * i + 1]] for i in range(3)] == [b"10-25", b"10", b"25"]
            assert pcre2.pcre2_match(code, b"none", 4, 0, 0, data, None) == pcre2.PCRE2_ERROR_NOMATCH
    assert pcre2.pcre2_compile(b"(", 1, 0, number, offset, None) is None
    message = bytearray(64)
    length = pcre2.pcre2_get_error_message(number.value, message, len(message))
    assert (message[:length], offset.value) == (b"missing closing parenthesis", 1)


def test_gmp_computes_beyond_64_bits(load):
    gmp = load("gmp")
    a, text = gmp.new("mpz_t"), bytearray(64)
    gmp.mpz_init_set_str(a, "123456789012345678901234567890", 10)
    gmp.mpz_pow_ui(a, a, 2)
    gmp.mpz_get_str(text, 10, a)
    assert int(text.rstrip(b"\0")) == 123456789012345678901234567890**2
    assert gmp.gmp_snprintf(text, len(text), "%Zd", gmp.cast(a, "mpz_ptr")) == 59
    assert int(text.rstrip(b"\0")) == 123456789012345678901234567890**2
    gmp.mpz_clear(a)
    assert gmp.mp_bits_per_limb == 64
    assert gmp.gmp_version.startswith(b"6.")


def test_png_is_written_to_memory_and_read_again(load):
    png = load("png")
    version = png.PNG_LIBPNG_VER_STRING
    assert png.png_get_libpng_ver(None) == version
    written = []

    @png.callback("png_rw_ptr")
    def write(_, data, length):
        written.append(bytes(png.buffer(data, length)))

    @png.callback("png_flush_ptr")
    def flush(_):
        pass

    writer = png.png_create_write_struct(version, None, None, None)
    info = png.png_create_info_struct(writer)
    png.png_set_write_fn(writer, None, write, flush)
    png.png_set_IHDR(writer, info, 2, 2, 8, png.PNG_COLOR_TYPE_GRAY, png.PNG_INTERLACE_NONE, 0, 0)
    png.png_write_info(writer, info)
    for row in (b"\x00\xff", b"\x80\x40"):
        png.png_write_row(writer, row)
    png.png_write_end(writer, None)
    png.png_destroy_write_struct(png.ref("png_structp", writer), png.ref("png_infop", info))
    image = b"".join(written)
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    assert (
        python_zlib.decompress(image[image.index(b"IDAT") + 4 : image.index(b"IEND") - 8]).count(b"\xff") == 1
    )

    simple = png.new("png_image", version=png.PNG_IMAGE_VERSION)
    assert png.png_image_begin_read_from_memory(simple, image, len(image)) == 1
    assert (simple.width, simple.height) == (2, 2)
    simple.format = png.PNG_FORMAT_GRAY
    pixels = bytearray(4)
    assert png.png_image_finish_read(simple, None, pixels, 0, None) == 1
    assert pixels == b"\x00\xff\x80\x40"


def test_openssl_digests(load):
    crypto = load("openssl")
    with crypto.own(crypto.EVP_MD_CTX_new(), crypto.EVP_MD_CTX_free) as context:
        assert crypto.EVP_DigestInit_ex(context, crypto.EVP_sha256(), None) == 1
        for piece in (b"a", b"bc"):
            assert crypto.EVP_DigestUpdate(context, piece, len(piece)) == 1
        digest, length = bytearray(crypto.EVP_MAX_MD_SIZE), crypto.ref("unsigned int")
        assert crypto.EVP_DigestFinal_ex(context, digest, length) == 1
    assert digest[: length.value].hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with crypto.own(crypto.BN_new(), crypto.BN_free) as number:
        assert crypto.BN_set_word(number, 2**63) == 1
        assert crypto.BN_sqr(number, number, crypto.BN_CTX_new()) == 1
        assert crypto.BN_num_bits(number) == 127
    # A macro of evp.h's for EVP_MD_get_size.
    assert crypto.EVP_MD_size(crypto.EVP_sha512()) == 64


def test_sodium_seals_and_opens(load):
    sodium = load("sodium")
    assert sodium.sodium_init() in (0, 1)
    key = bytes(range(sodium.crypto_secretbox_KEYBYTES))
    nonce = bytes(sodium.crypto_secretbox_NONCEBYTES)
    text = b"attack at dawn"
    sealed = bytearray(len(text) + sodium.crypto_secretbox_MACBYTES)
    assert sodium.crypto_secretbox_easy(sealed, text, len(text), nonce, key) == 0
    opened = bytearray(len(text))
    assert sodium.crypto_secretbox_open_easy(opened, sealed, len(sealed), nonce, key) == 0
    assert opened == text
    sealed[-1] ^= 1
    assert sodium.crypto_secretbox_open_easy(opened, sealed, len(sealed), nonce, key) == -1
    hexadecimal = bytearray(9)
    assert sodium.sodium_bin2hex(hexadecimal, 9, b"\xde\xad\xbe\xef", 4) == b"deadbeef"


@pytest.mark.parametrize("encoding", [None, "utf-8"])
def test_jansson_builds_and_dumps(load, encoding):
    jansson = load("jansson", encoding=encoding)
    error = jansson.new("json_error_t")
    text = '{"name": "pythy", "sizes": [1, 2, 3], "ok": true}'
    root = jansson.json_loads(text, 0, error)
    sizes = jansson.json_object_get(root, "sizes")
    assert [jansson.json_integer_value(jansson.json_array_get(sizes, i)) for i in range(3)] == [1, 2, 3]
    name = jansson.json_string_value(jansson.json_object_get(root, "name"))
    assert name == ("pythy" if encoding else b"pythy")
    assert jansson.json_object_set_new(root, "more", jansson.json_pack("{s:i, s:f}", "a", 1, "b", 2.5)) == 0
    size = jansson.json_dumpb(root, None, 0, 0)
    dumped = bytearray(size)
    assert jansson.json_dumpb(root, dumped, size, jansson.JSON_SORT_KEYS) == size
    assert json.loads(dumped) == {**json.loads(text), "more": {"a": 1, "b": 2.5}}
    jansson.json_delete(root)
    assert jansson.json_loads("[1,", 0, error) is None
    assert (error.line, error.column) == (1, 3)


def test_libyaml_parses_events(load):
    yaml = load("libyaml")
    parser, event = yaml.new("yaml_parser_t"), yaml.new("yaml_event_t")
    text = b"key: [1, two]\n"
    assert yaml.yaml_parser_initialize(parser) == 1
    yaml.yaml_parser_set_input_string(parser, text, len(text))
    seen = []
    while not seen or seen[-1] != "YAML_STREAM_END_EVENT":
        assert yaml.yaml_parser_parse(parser, event) == 1
        if event.type == yaml.YAML_SCALAR_EVENT:
            scalar = event.data.scalar
            seen.append(bytes(yaml.buffer(scalar.value, scalar.length)))
        else:
            seen.append(event.type.name)
        yaml.yaml_event_delete(event)
    yaml.yaml_parser_delete(parser)
    assert seen == [
        "YAML_STREAM_START_EVENT",
        "YAML_DOCUMENT_START_EVENT",
        "YAML_MAPPING_START_EVENT",
        b"key",
        "YAML_SEQUENCE_START_EVENT",
        b"1",
        b"two",
        "YAML_SEQUENCE_END_EVENT",
        "YAML_MAPPING_END_EVENT",
        "YAML_DOCUMENT_END_EVENT",
        "YAML_STREAM_END_EVENT",
    ]


def test_lz4_and_zstd_give_back_what_they_packed(load):
    text = bytes(range(256)) * 20
    lz4 = load("lz4")
    packed = bytearray(lz4.LZ4_compressBound(len(text)))
    size = lz4.LZ4_compress_default(text, packed, len(text), len(packed))
    assert 0 < size < len(text)
    unpacked = bytearray(len(text))
    assert lz4.LZ4_decompress_safe(packed, unpacked, size, len(unpacked)) == len(text)
    assert unpacked == text
    assert lz4.LZ4_decompress_safe(packed, bytearray(10), size, 10) < 0

    zstd = load("zstd")
    packed = bytearray(zstd.ZSTD_compressBound(len(text)))
    size = zstd.ZSTD_compress(packed, len(packed), text, len(text), 3)
    assert 0 < size < len(text)
    unpacked = bytearray(len(text))
    assert zstd.ZSTD_decompress(unpacked, len(unpacked), packed, size) == len(text)
    assert unpacked == text
    failed = zstd.ZSTD_decompress(bytearray(10), 10, packed, size)
    assert zstd.ZSTD_isError(failed) == 1
    assert zstd.ZSTD_getErrorName(failed) == b"Destination buffer is too small"


def test_uv_runs_a_timer(load):
    uv = load("uv")
    loop = uv.new("uv_loop_t")
    assert uv.uv_loop_init(loop) == 0
    timer, fired = uv.new("uv_timer_t"), []

    @uv.callback("uv_timer_cb")
    def tick(handle):
        fired.append(uv.uv_timer_get_repeat(handle))
        if len(fired) == 3:
            uv.uv_timer_stop(handle)

    assert uv.uv_timer_init(loop, timer) == 0
    assert uv.uv_timer_start(timer, tick, 0, 1) == 0
    assert uv.uv_run(loop, uv.UV_RUN_DEFAULT) == 0
    assert fired == [1, 1, 1]
    uv.uv_close(uv.cast(timer, "uv_handle_t *"), None)
    assert uv.uv_run(loop, uv.UV_RUN_DEFAULT) == 0
    assert uv.uv_loop_close(loop) == 0
    assert uv.uv_err_name(uv.UV_ENOENT) == b"ENOENT"


def test_archive_is_written_and_listed(load):
    archive = load("archive")
    memory, used = bytearray(10240), archive.ref("size_t")
    kept = archive.new("char[10240]")
    with archive.own(archive.archive_write_new(), archive.archive_write_free) as writer:
        assert archive.archive_write_set_format_ustar(writer) == archive.ARCHIVE_OK
        assert archive.archive_write_open_memory(writer, kept, len(memory), used) == archive.ARCHIVE_OK
        for name, text in (("a.txt", b"first"), ("b/c.txt", b"second")):
            with archive.own(archive.archive_entry_new(), archive.archive_entry_free) as entry:
                archive.archive_entry_set_pathname(entry, name)
                archive.archive_entry_set_size(entry, len(text))
                archive.archive_entry_set_filetype(entry, archive.AE_IFREG)
                archive.archive_entry_set_perm(entry, 0o644)
                assert archive.archive_write_header(writer, entry) == archive.ARCHIVE_OK
                assert archive.archive_write_data(writer, text, len(text)) == len(text)
        assert archive.archive_write_close(writer) == archive.ARCHIVE_OK
    listed = []
    with archive.own(archive.archive_read_new(), archive.archive_read_free) as reader:
        assert archive.archive_read_support_format_tar(reader) == archive.ARCHIVE_OK
        assert archive.archive_read_open_memory(reader, kept, used.value) == archive.ARCHIVE_OK
        entry = archive.ref("struct archive_entry *")
        while archive.archive_read_next_header(reader, entry) == archive.ARCHIVE_OK:
            size = archive.archive_entry_size(entry.pointer)
            text = bytearray(size)
            assert archive.archive_read_data(reader, text, size) == size
            listed.append((archive.archive_entry_pathname(entry.pointer), bytes(text)))
    assert listed == [(b"a.txt", b"first"), (b"b/c.txt", b"second")]


def test_git2_makes_a_commit(load, tmp_path):
    git = load("git2", encoding="utf-8")
    assert git.git_libgit2_init() >= 1
    repository = git.ref("git_repository *")
    assert git.git_repository_init(repository, os.fspath(tmp_path), 0) == 0
    repository = repository.pointer
    blob, text = git.new("git_oid"), b"hello\n"
    assert git.git_blob_create_from_buffer(blob, repository, text, len(text)) == 0
    name = bytearray(git.GIT_OID_HEXSZ + 1)
    assert git.git_oid_tostr(name, len(name), blob) == "ce013625030ba8dba906f756967f9e9ca394464a"
    found = git.ref("git_commit *")
    assert git.git_commit_lookup(found, repository, blob) == git.GIT_ENOTFOUND
    assert git.git_error_last().message == "the requested type does not match the type in the ODB"
    git.git_repository_free(repository)
    git.git_libgit2_shutdown()


def test_lua_calls_python(load):
    lua = load("lua")
    with lua.own(lua.luaL_newstate(), lua.lua_close) as state:
        lua.luaL_openlibs(state)

        @lua.callback("lua_CFunction")
        def add(state):
            lua.lua_pushnumber(state, lua.luaL_checknumber(state, 1) + lua.luaL_checknumber(state, 2))
            return 1

        lua.lua_pushcclosure(state, add, 0)
        lua.lua_setglobal(state, "add")
        assert lua.luaL_loadstring(state, "return add(40, 2), ('x'):rep(3)") == lua.LUA_OK
        assert lua.lua_pcallk(state, 0, lua.LUA_MULTRET, 0, 0, None) == lua.LUA_OK
        assert lua.lua_tonumberx(state, -2, None) == 42.0
        assert lua.lua_tolstring(state, -1, None) == b"xxx"


def test_ncurses_reads_terminfo(load):
    tinfo = load("tinfo")
    status = tinfo.ref("int")
    assert tinfo.setupterm("xterm", 1, status) == tinfo.OK
    assert status.value == 1
    assert (tinfo.tigetnum("colors"), tinfo.tigetflag("am")) == (8, 1)
    assert tinfo.tparm(tinfo.tigetstr("cup"), 4, 9) == b"\x1b[5;10H"
    assert tinfo.setupterm("no such terminal", 1, status) == tinfo.ERR
    assert status.value == 0
    assert tinfo.curses_version().startswith(b"ncurses 6.")
    assert tinfo.keyname(tinfo.KEY_UP) == b"KEY_UP"


SCRIPT = """
    import pythy

    expat = pythy.create_interface("expat.h", EXPAT)
    zlib = pythy.create_interface("zlib.h", ZLIB)

    names = []
    start = expat.callback("XML_StartElementHandler")(lambda user, name, attributes: names.append(name))
    text = b"<a><b/><c>text</c></a>"
    with expat.own(expat.XML_ParserCreate(None), expat.XML_ParserFree) as parser:
        expat.XML_SetStartElementHandler(parser, start)
        assert expat.XML_Parse(parser, text, len(text), 1) == expat.XML_STATUS_OK
    assert names == [b"a", b"b", b"c"]

    stream = zlib.new("z_stream")
    assert zlib.deflateInit_(stream, 6, zlib.ZLIB_VERSION, zlib.sizeof(stream)) == zlib.Z_OK
    source, out = bytearray(text * 50), bytearray(200)
    stream.next_in, stream.avail_in = source, len(source)
    stream.next_out, stream.avail_out = out, len(out)
    assert zlib.deflate(stream, zlib.Z_FINISH) == zlib.Z_STREAM_END
    assert zlib.deflateEnd(stream) == zlib.Z_OK
    report = pythy.memory_report()
    print(report.totals.calls, report.findings, report.ok)
"""


def test_sound_libraries_have_no_findings(debian, under_valgrind):
    script = SCRIPT.replace("EXPAT", repr(str(debian("expat").path)))
    script = script.replace("ZLIB", repr(str(debian("zlib").path)), 1)
    assert under_valgrind(script, "--log-file=log").stdout == "7 [] True\n"
