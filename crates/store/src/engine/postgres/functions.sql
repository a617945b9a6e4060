-- What rendered statements call. Replaced as a whole when this file changes.

CREATE OR REPLACE FUNCTION _pando.compact(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v)
        WHEN 'array' THEN '[' || COALESCE((SELECT string_agg(_pando.compact(e), ',' ORDER BY n)
            FROM jsonb_array_elements(v) WITH ORDINALITY AS x(e, n)), '') || ']'
        WHEN 'object' THEN '{' || COALESCE((SELECT string_agg(to_json(k)::text || ':' || _pando.compact(e), ',')
            FROM jsonb_each(v) AS x(k, e)), '') || '}'
        ELSE v::text END
$$;

-- A scalar as comparisons see it: a number, a text or null. Booleans are 1 and 0, the rest is its own text.
CREATE OR REPLACE FUNCTION _pando.value(v json) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE json_typeof(v)
        WHEN 'string' THEN v::jsonb
        WHEN 'number' THEN _pando.double(v::text)
        WHEN 'boolean' THEN CASE WHEN v::text ~ 'true' THEN '1'::jsonb ELSE '0'::jsonb END
        WHEN 'null' THEN NULL
        ELSE to_jsonb(CASE WHEN v::text ~ '\s'
            THEN regexp_replace(v::text, '("(\\.|[^"\\])*")|\s+', '\1', 'g') ELSE v::text END) END
$$;

-- A JSON number as the double that it reads as.
CREATE OR REPLACE FUNCTION _pando.double(v text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN length(v) < 16 AND v !~ '[eE]' THEN v::jsonb
        WHEN v ~ '[eE]-?\d{4}' OR abs(v::numeric) > 1.7976931348623157e308
            THEN CASE WHEN v ~ '^\s*-' THEN '-1e400'::jsonb ELSE '1e400'::jsonb END
        WHEN abs(v::numeric) < 1e-300 THEN '0'::jsonb
        ELSE to_jsonb(v::float8) END
$$;

CREATE OR REPLACE FUNCTION _pando.value(v jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v)
        WHEN 'string' THEN v
        WHEN 'number' THEN v
        WHEN 'boolean' THEN CASE WHEN v = 'true'::jsonb THEN '1'::jsonb ELSE '0'::jsonb END
        WHEN 'null' THEN NULL
        ELSE to_jsonb(_pando.compact(v)) END
$$;

CREATE OR REPLACE FUNCTION _pando.list_text(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT _pando.compact(v) COLLATE "C"
$$;

CREATE OR REPLACE FUNCTION _pando.number_text(v float8) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN v::text NOT LIKE '%e%' THEN v::text
        WHEN abs(v) >= 1e-6 AND abs(v) < 1e21 THEN (v::text::numeric)::text
        ELSE regexp_replace(v::text, 'e([+-])0*', 'e\1') END
$$;

CREATE OR REPLACE FUNCTION _pando.point_text(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '{"lon":' || _pando.number_text((v->>'lon')::float8) || ',"lat":' || _pando.number_text((v->>'lat')::float8) || '}'
$$;

CREATE OR REPLACE FUNCTION _pando.date_text(v timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT COALESCE(to_char(v AT TIME ZONE 'UTC', CASE WHEN v >= '0001-01-01Z' THEN 'YYYY' ELSE '"0000"' END
        || '-MM-DD HH24:MI:SS.MS"Z"'), '')
$$;

CREATE OR REPLACE FUNCTION _pando.scalar_text(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(v) = 'number' AND abs(v::numeric) < 1e308
        THEN _pando.number_text(v::float8) ELSE v #>> '{}' END
$$;

-- The number that a text reads as in full, else null.
CREATE OR REPLACE FUNCTION _pando.text_number(v text) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN length(v) < 300 AND v ~ '^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*$' THEN
        CASE WHEN abs(v::numeric) BETWEEN 1e-300 AND 1.7e308 THEN v::float8
             WHEN abs(v::numeric) < 1e-300 THEN 0 END
    END
$$;

CREATE OR REPLACE FUNCTION _pando.number_or_text(v text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(to_jsonb(_pando.text_number(v)), to_jsonb(v))
$$;

-- The same of a scalar.
CREATE OR REPLACE FUNCTION _pando.pulled(v jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v) WHEN 'string' THEN _pando.number_or_text(v #>> '{}') ELSE v END
$$;

CREATE OR REPLACE FUNCTION _pando.number(v jsonb) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v) WHEN 'number' THEN v::float8 WHEN 'string' THEN _pando.text_number(v #>> '{}') END
$$;

-- -1, 0 or 1; numbers are below texts; null when either is.
CREATE OR REPLACE FUNCTION _pando.compare(a jsonb, b jsonb) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN a IS NULL OR b IS NULL THEN NULL
        WHEN jsonb_typeof(a) = 'number' AND jsonb_typeof(b) = 'number' THEN sign(a::numeric - b::numeric)::int
        WHEN jsonb_typeof(a) = 'number' THEN -1
        WHEN jsonb_typeof(b) = 'number' THEN 1
        WHEN (a #>> '{}') COLLATE "C" < (b #>> '{}') COLLATE "C" THEN -1
        WHEN (a #>> '{}') = (b #>> '{}') THEN 0
        ELSE 1 END
$$;

CREATE OR REPLACE FUNCTION _pando.sort_number(v jsonb) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v) WHEN 'number' THEN v::float8 WHEN 'string' THEN 'NaN'::float8 END
$$;

CREATE OR REPLACE FUNCTION _pando.sort_text(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v) WHEN 'string' THEN v #>> '{}' END
$$;

-- A text that is JSON as JSON, else null.
CREATE OR REPLACE FUNCTION _pando.to_json(v text) RETURNS json LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF v IS NULL OR v !~ '^\s*[\[{"0-9tfn-]' THEN RETURN NULL; END IF;
    RETURN v::json;
EXCEPTION WHEN OTHERS THEN RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION _pando.length(v text) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN COALESCE(v, '') = '' THEN 0
        WHEN json_typeof(_pando.array(v)) = 'array' THEN json_array_length(_pando.array(v)) ELSE 1 END::float8
$$;

-- A text that is a JSON array as JSON, else null.
CREATE OR REPLACE FUNCTION _pando.array(v text) RETURNS json LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN v ~ '^\s*\[' THEN _pando.to_json(v) END
$$;

CREATE OR REPLACE FUNCTION _pando.length(v jsonb) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v) WHEN 'array' THEN jsonb_array_length(v) ELSE 0 END::float8
$$;

CREATE OR REPLACE FUNCTION _pando.each(v text) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE json_typeof(e) WHEN 'null' THEN NULL WHEN 'string' THEN e #>> '{}' ELSE e::text END
    FROM json_array_elements(COALESCE(_pando.array(v), json_build_array(v))) AS x(e) WHERE v IS NOT NULL
$$;

CREATE OR REPLACE FUNCTION _pando.geo_distance(lon_a float8, lat_a float8, lon_b float8, lat_b float8)
RETURNS float8 LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT 6371 * acos(greatest(-1, least(1,
        cos(radians(lat_a)) * cos(radians(lat_b)) * cos(radians(lon_b) - radians(lon_a))
        + sin(radians(lat_a)) * sin(radians(lat_b)))))
$$;

-- Fails the transaction when a guard of the batch does not hold, and says which.
CREATE OR REPLACE FUNCTION _pando.guard(holds boolean, index float8) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF holds THEN RETURN TRUE; END IF;
    RAISE EXCEPTION USING ERRCODE = 'PD001', MESSAGE = index::int::text;
END $$;

-- Conversions for columns that change their type.
CREATE OR REPLACE FUNCTION _pando.text_date(v text) RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF v IS NULL OR v !~ '^\d{4}-\d{2}-\d{2}' THEN RETURN NULL; END IF;
    RETURN v::timestamptz;
EXCEPTION WHEN OTHERS THEN RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION _pando.last_text(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(CASE jsonb_typeof(v) WHEN 'array' THEN v->>-1 WHEN 'null' THEN '' WHEN 'string' THEN v #>> '{}'
        ELSE _pando.compact(v) END, '')
$$;

CREATE OR REPLACE FUNCTION _pando.text_list(v text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN COALESCE(v, '') = '' THEN '[]'::jsonb
        WHEN json_typeof(_pando.to_json(v)) = 'array' THEN v::jsonb
        ELSE jsonb_build_array(v) END
$$;

CREATE OR REPLACE FUNCTION _pando.text_point(v text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN json_typeof(_pando.to_json(v)->'lon') = 'number' AND json_typeof(_pando.to_json(v)->'lat') = 'number'
        THEN v::jsonb ELSE '{"lon":0,"lat":0}'::jsonb END
$$;

CREATE OR REPLACE FUNCTION _pando.group_concat_step(state text, v text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN v IS NULL THEN state WHEN state IS NULL THEN v ELSE state || ',' || v END
$$;

CREATE OR REPLACE AGGREGATE _pando.group_concat(text) (SFUNC = _pando.group_concat_step, STYPE = text);

-- HH:MM[:SS[.FFF]] with Z or an offset, in milliseconds; null for what is none.
CREATE OR REPLACE FUNCTION _pando.clock_ms(v text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    p text[] := regexp_match(v, '^(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?\s*(?:[zZ]|([+-])(\d\d):(\d\d))?$');
BEGIN
    IF p IS NULL OR p[1]::int > 24 OR p[2]::int > 59 OR COALESCE(p[3]::int, 0) > 59
        OR COALESCE(p[6]::int, 0) > 14 OR COALESCE(p[7]::int, 0) > 59 THEN RETURN NULL; END IF;
    RETURN (p[1]::bigint * 60 + p[2]::bigint) * 60000 + COALESCE(p[3]::bigint, 0) * 1000
        + floor(COALESCE('0' || p[4], '0')::float8 * 1000 + 0.5)::bigint
        - CASE p[5] WHEN '-' THEN -1 ELSE 1 END * (COALESCE(p[6]::bigint, 0) * 60 + COALESCE(p[7]::bigint, 0)) * 60000;
END $$;

-- Days since 1970 of a date, and back. PostgreSQL's own dates begin too late and know no year 0.
CREATE OR REPLACE FUNCTION _pando.days(year bigint, month bigint, day bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    y bigint := year - CASE WHEN month <= 2 THEN 1 ELSE 0 END;
    era bigint := floor(y / 400.0);
    of_era bigint := y - era * 400;
BEGIN
    RETURN era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * ((month + 9) % 12) + 2) / 5 + day - 1 - 719468;
END $$;

CREATE OR REPLACE FUNCTION _pando.civil(days bigint) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    era bigint := floor((days + 719468) / 146097.0);
    of_era bigint := days + 719468 - era * 146097;
    year bigint := (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year bigint := of_era - (365 * year + year / 4 - year / 100);
    shifted bigint := (5 * of_year + 2) / 153;
    month bigint := CASE WHEN shifted < 10 THEN shifted + 3 ELSE shifted - 9 END;
BEGIN
    RETURN ARRAY[year + era * 400 + CASE WHEN month <= 2 THEN 1 ELSE 0 END, month, of_year - (153 * shifted + 2) / 5 + 1];
END $$;

-- What SQLite takes for a time, in milliseconds since 1970; null for what is none. A day past the end of its
-- month is one of the next.
CREATE OR REPLACE FUNCTION _pando.time_ms(v text) RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    p text[] := regexp_match(v, '^(\d{4})-(\d\d)-(\d\d)[ Tt]*(.*?)\s*$');
BEGIN
    IF lower(v) = 'now' THEN RETURN floor(extract(epoch FROM now()) * 1000); END IF;
    -- A time alone is on the first of January 2000.
    IF p IS NULL THEN RETURN 946684800000 + _pando.clock_ms(rtrim(v, E' \t\n\r')); END IF;
    IF p[2]::int NOT BETWEEN 1 AND 12 OR p[3]::int NOT BETWEEN 1 AND 31 THEN RETURN NULL; END IF;
    RETURN _pando.days(p[1]::int, p[2]::int, p[3]::int) * 86400000
        + CASE p[4] WHEN '' THEN 0 ELSE _pando.clock_ms(p[4]) END;
EXCEPTION WHEN OTHERS THEN RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION _pando.padded(n bigint, width int) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN n < 0 THEN '-' || lpad((-n)::text, greatest(width - 1, length((-n)::text)), '0')
        ELSE lpad(n::text, greatest(width, length(n::text)), '0') END
$$;

-- SQLite's strftime in UTC; null for what is no time, and for formats and modifiers it does not know.
CREATE OR REPLACE FUNCTION _pando.strftime(format text, v text, modifiers text[]) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    day constant bigint := 86400000;
    julian constant bigint := 210866760000000;
    ms bigint := _pando.time_ms(v);
    n float8;
    d bigint;
    civil bigint[];
    months bigint;
    weekday bigint;
    thursday bigint;
    iso bigint;
    doy bigint;
    h bigint;
    m text;
    part text[];
    first boolean := true;
    out text := '';
    c text;
    i int := 1;
BEGIN
    IF ms IS NULL THEN
        n := _pando.text_number(v);
        IF n IS NULL THEN RETURN NULL; END IF;
        IF n >= 0 AND n < 5373484.5 THEN ms := trunc(n * day + 0.5)::bigint - julian; END IF;
    END IF;
    FOREACH m IN ARRAY modifiers LOOP
        m := lower(trim(m));
        IF m = 'unixepoch' THEN
            IF n IS NULL OR NOT first OR abs(n) > 1e12 THEN RETURN NULL; END IF;
            ms := trunc(n * 1000 + sign(n) * 0.5)::bigint;
            IF ms < -julian OR ms > 253402300799999 THEN RETURN NULL; END IF;
        ELSIF m = 'julianday' THEN
            IF n IS NULL OR NOT first OR ms IS NULL THEN RETURN NULL; END IF;
            first := false;
            CONTINUE;
        ELSIF m = 'auto' AND n IS NOT NULL AND ms IS NULL THEN
            ms := trunc(n * 1000 + sign(n) * 0.5)::bigint;
        ELSIF ms IS NULL THEN
            RETURN NULL;
        -- The server's own zone is taken for UTC.
        ELSIF m NOT IN ('auto', 'utc', 'localtime', 'subsec', 'subsecond', 'floor', 'ceiling') THEN
            d := floor(ms::numeric / day);
            civil := _pando.civil(d);
            part := regexp_match(m, '^(\S+) \s*(second|minute|hour|day|month|year)s?$');
            IF part IS NOT NULL THEN
                n := _pando.text_number(part[1]);
                IF n IS NULL OR abs(n) >= (CASE part[2] WHEN 'second' THEN 4.6427e14 WHEN 'minute' THEN 7.7379e12
                    WHEN 'hour' THEN 1.2897e11 WHEN 'day' THEN 5373485 WHEN 'month' THEN 176546 ELSE 14713 END)
                    THEN RETURN NULL; END IF;
                IF part[2] IN ('month', 'year') THEN
                    -- Days that the month has not run over into the next one.
                    months := civil[1] * 12 + civil[2] - 1 + CASE part[2] WHEN 'year' THEN 12 ELSE 1 END * trunc(n)::bigint;
                    ms := (_pando.days(floor(months / 12.0)::bigint, months - floor(months / 12.0)::bigint * 12 + 1, 1) + civil[3] - 1) * day
                        + (ms - d * day)
                        + trunc((n - trunc(n)) * CASE part[2] WHEN 'year' THEN 365 ELSE 30 END * day)::bigint;
                ELSE
                    ms := ms + trunc(n * CASE part[2] WHEN 'second' THEN 1000 WHEN 'minute' THEN 60000
                        WHEN 'hour' THEN 3600000 ELSE day END + CASE WHEN n < 0 THEN -0.5 ELSE 0.5 END)::bigint;
                END IF;
            ELSIF m IN ('start of day', 'start of month', 'start of year') THEN
                ms := CASE substr(m, 10) WHEN 'day' THEN d WHEN 'month' THEN _pando.days(civil[1], civil[2], 1)
                    ELSE _pando.days(civil[1], 1, 1) END * day;
            ELSIF m ~ '^weekday \s*[0-6]$' THEN
                ms := ms + ((right(m, 1)::int - ((d + 4) % 7 + 7) % 7 + 7) % 7) * day;
            ELSE
                RETURN NULL;
            END IF;
        END IF;
        n := NULL;
        first := false;
    END LOOP;
    IF ms IS NULL OR ms < -julian OR ms > 253402300799999 THEN RETURN NULL; END IF;
    d := floor(ms::numeric / day);
    civil := _pando.civil(d);
    ms := ms - d * day;
    h := ms / 3600000;
    weekday := ((d + 4) % 7 + 7) % 7;
    doy := d - _pando.days(civil[1], 1, 1);
    -- The Thursday of the same week decides which ISO year a day belongs to.
    thursday := d + 3 - (weekday + 6) % 7;
    iso := (_pando.civil(thursday))[1];
    WHILE i <= length(format) LOOP
        c := substr(format, i, 1);
        IF c = '%' THEN
            i := i + 1;
            c := substr(format, i, 1);
            out := out || CASE c
                WHEN 'd' THEN _pando.padded(civil[3], 2) WHEN 'e' THEN lpad(civil[3]::text, 2)
                WHEN 'f' THEN _pando.padded(ms / 1000 % 60, 2) || '.' || _pando.padded(ms % 1000, 3)
                WHEN 'F' THEN _pando.padded(civil[1], 4) || '-' || _pando.padded(civil[2], 2) || '-' || _pando.padded(civil[3], 2)
                WHEN 'G' THEN _pando.padded(iso, 4) WHEN 'g' THEN _pando.padded(iso % 100, 2)
                WHEN 'H' THEN _pando.padded(h, 2) WHEN 'I' THEN _pando.padded((h + 11) % 12 + 1, 2)
                WHEN 'j' THEN _pando.padded(doy + 1, 3)
                WHEN 'J' THEN trim_scale(round((d * day + ms + julian)::numeric / day,
                    16 - length(((d * day + ms + julian) / day)::text)))::text
                WHEN 'k' THEN lpad(h::text, 2) WHEN 'l' THEN lpad(((h + 11) % 12 + 1)::text, 2)
                WHEN 'm' THEN _pando.padded(civil[2], 2) WHEN 'M' THEN _pando.padded(ms / 60000 % 60, 2)
                WHEN 'p' THEN CASE WHEN h < 12 THEN 'AM' ELSE 'PM' END
                WHEN 'P' THEN CASE WHEN h < 12 THEN 'am' ELSE 'pm' END
                WHEN 'R' THEN _pando.padded(h, 2) || ':' || _pando.padded(ms / 60000 % 60, 2)
                WHEN 's' THEN (d * 86400 + ms / 1000)::text
                WHEN 'S' THEN _pando.padded(ms / 1000 % 60, 2)
                WHEN 'T' THEN _pando.padded(h, 2) || ':' || _pando.padded(ms / 60000 % 60, 2) || ':' || _pando.padded(ms / 1000 % 60, 2)
                WHEN 'u' THEN CASE weekday WHEN 0 THEN 7 ELSE weekday END::text
                WHEN 'U' THEN _pando.padded((doy + 7 - weekday) / 7, 2)
                WHEN 'V' THEN _pando.padded((thursday - _pando.days(iso, 1, 1)) / 7 + 1, 2)
                WHEN 'w' THEN weekday::text
                WHEN 'W' THEN _pando.padded((doy + 7 - (weekday + 6) % 7) / 7, 2)
                WHEN 'Y' THEN _pando.padded(civil[1], 4) WHEN '%' THEN '%' END;
        ELSE
            out := out || c;
        END IF;
        i := i + 1;
    END LOOP;
    RETURN out;
EXCEPTION WHEN OTHERS THEN RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION _pando.strftime_of(format text, v anyelement) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT _pando.strftime(format, CASE WHEN pg_typeof(v) = 'timestamptz'::regtype
        THEN _pando.date_text(v::text::timestamptz) ELSE v::text END, ARRAY[]::text[])
$$;
