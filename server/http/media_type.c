/* SPDX-License-Identifier: BSD-2-Clause */
#include "http/media_type.h"

/* In the order of str_compare: looked up by halving. */
static const struct {
    str ending, type;
} types[] = {
    { S("3gp"), S("video/3gpp") },
    { S("7z"), S("application/x-7z-compressed") },
    { S("aac"), S("audio/aac") },
    { S("ai"), S("application/postscript") },
    { S("apk"), S("application/vnd.android.package-archive") },
    { S("apng"), S("image/apng") },
    { S("atom"), S("application/atom+xml") },
    { S("avi"), S("video/x-msvideo") },
    { S("avif"), S("image/avif") },
    { S("bmp"), S("image/bmp") },
    { S("bz2"), S("application/x-bzip2") },
    { S("c"), S("text/plain; charset=utf-8") },
    { S("conf"), S("text/plain; charset=utf-8") },
    { S("css"), S("text/css; charset=utf-8") },
    { S("csv"), S("text/csv; charset=utf-8") },
    { S("deb"), S("application/vnd.debian.binary-package") },
    { S("doc"), S("application/msword") },
    { S("docx"), S("application/vnd.openxmlformats-officedocument.wordprocessingml.document") },
    { S("eot"), S("application/vnd.ms-fontobject") },
    { S("epub"), S("application/epub+zip") },
    { S("flac"), S("audio/flac") },
    { S("gif"), S("image/gif") },
    { S("gpx"), S("application/gpx+xml") },
    { S("gz"), S("application/gzip") },
    { S("h"), S("text/plain; charset=utf-8") },
    { S("heic"), S("image/heic") },
    { S("htm"), S("text/html; charset=utf-8") },
    { S("html"), S("text/html; charset=utf-8") },
    { S("ico"), S("image/vnd.microsoft.icon") },
    { S("ics"), S("text/calendar; charset=utf-8") },
    { S("iso"), S("application/octet-stream") },
    { S("jar"), S("application/java-archive") },
    { S("jpeg"), S("image/jpeg") },
    { S("jpg"), S("image/jpeg") },
    { S("js"), S("text/javascript; charset=utf-8") },
    { S("json"), S("application/json") },
    { S("jsonld"), S("application/ld+json") },
    { S("jxl"), S("image/jxl") },
    { S("log"), S("text/plain; charset=utf-8") },
    { S("m3u8"), S("application/vnd.apple.mpegurl") },
    { S("m4a"), S("audio/mp4") },
    { S("m4v"), S("video/mp4") },
    { S("map"), S("application/json") },
    { S("md"), S("text/markdown; charset=utf-8") },
    { S("mid"), S("audio/midi") },
    { S("mjs"), S("text/javascript; charset=utf-8") },
    { S("mkv"), S("video/matroska") },
    { S("mov"), S("video/quicktime") },
    { S("mp3"), S("audio/mpeg") },
    { S("mp4"), S("video/mp4") },
    { S("mpd"), S("application/dash+xml") },
    { S("mpeg"), S("video/mpeg") },
    { S("mpg"), S("video/mpeg") },
    { S("odp"), S("application/vnd.oasis.opendocument.presentation") },
    { S("ods"), S("application/vnd.oasis.opendocument.spreadsheet") },
    { S("odt"), S("application/vnd.oasis.opendocument.text") },
    { S("oga"), S("audio/ogg") },
    { S("ogg"), S("audio/ogg") },
    { S("ogv"), S("video/ogg") },
    { S("opus"), S("audio/ogg") },
    { S("otf"), S("font/otf") },
    { S("pdf"), S("application/pdf") },
    { S("pem"), S("application/x-pem-file") },
    { S("png"), S("image/png") },
    { S("ppt"), S("application/vnd.ms-powerpoint") },
    { S("pptx"), S("application/vnd.openxmlformats-officedocument.presentationml.presentation") },
    { S("ps"), S("application/postscript") },
    { S("py"), S("text/plain; charset=utf-8") },
    { S("rar"), S("application/vnd.rar") },
    { S("rpm"), S("application/x-rpm") },
    { S("rss"), S("application/rss+xml") },
    { S("rtf"), S("application/rtf") },
    { S("sh"), S("text/plain; charset=utf-8") },
    { S("svg"), S("image/svg+xml") },
    { S("tar"), S("application/x-tar") },
    { S("tgz"), S("application/gzip") },
    { S("tif"), S("image/tiff") },
    { S("tiff"), S("image/tiff") },
    { S("toml"), S("application/toml") },
    { S("torrent"), S("application/x-bittorrent") },
    { S("ts"), S("video/mp2t") },
    { S("tsv"), S("text/tab-separated-values; charset=utf-8") },
    { S("ttf"), S("font/ttf") },
    { S("txt"), S("text/plain; charset=utf-8") },
    { S("vcf"), S("text/vcard; charset=utf-8") },
    { S("vtt"), S("text/vtt; charset=utf-8") },
    { S("wasm"), S("application/wasm") },
    { S("wav"), S("audio/wav") },
    { S("weba"), S("audio/webm") },
    { S("webm"), S("video/webm") },
    { S("webmanifest"), S("application/manifest+json") },
    { S("webp"), S("image/webp") },
    { S("woff"), S("font/woff") },
    { S("woff2"), S("font/woff2") },
    { S("xhtml"), S("application/xhtml+xml") },
    { S("xls"), S("application/vnd.ms-excel") },
    { S("xlsx"), S("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet") },
    { S("xml"), S("application/xml") },
    { S("xsl"), S("application/xslt+xml") },
    { S("xz"), S("application/x-xz") },
    { S("yaml"), S("application/yaml") },
    { S("yml"), S("application/yaml") },
    { S("zip"), S("application/zip") },
    { S("zst"), S("application/zstd") },
};

enum { ENDING_MOST = 16 };

/* What stands behind the last dot of the last segment, in lower case; empty when there is none. */
static str ending_of(str path, char room[ENDING_MOST])
{
    size_t n = 0;

    while (n < path.n && n <= ENDING_MOST && path.p[path.n - n - 1] != '.' && path.p[path.n - n - 1] != '/')
        n++;
    if (n >= path.n || n > ENDING_MOST || path.p[path.n - n - 1] != '.')
        return STR_NONE;
    for (size_t i = 0; i < n; i++)
        room[i] = char_lower(path.p[path.n - n + i]);
    return (str){ room, n };
}

str media_type_of_path(str path)
{
    char room[ENDING_MOST];
    str ending = ending_of(path, room);
    size_t low = 0, high = sizeof(types) / sizeof(types[0]);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(ending, types[middle].ending);
        if (order == 0)
            return types[middle].type;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return S("application/octet-stream");
}
