-- What rendered statements call. Replaced as a whole when this file changes.

CREATE OR REPLACE FUNCTION pando.compact(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v)
        WHEN 'array' THEN '[' || COALESCE((SELECT string_agg(pando.compact(e), ',' ORDER BY n)
            FROM jsonb_array_elements(v) WITH ORDINALITY AS x(e, n)), '') || ']'
        WHEN 'object' THEN '{' || COALESCE((SELECT string_agg(to_json(k)::text || ':' || pando.compact(e), ',')
            FROM jsonb_each(v) AS x(k, e)), '') || '}'
        ELSE v::text END
$$;

-- A scalar as comparisons see it: a number, a text or null. Booleans are 1 and 0, the rest is its own text.
CREATE OR REPLACE FUNCTION pando.value(v json) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE json_typeof(v)
        WHEN 'string' THEN v::jsonb
        WHEN 'number' THEN v::jsonb
        WHEN 'boolean' THEN CASE WHEN v::text = 'true' THEN '1'::jsonb ELSE '0'::jsonb END
        WHEN 'null' THEN NULL
        ELSE to_jsonb(v::text) END
$$;

CREATE OR REPLACE FUNCTION pando.value(v jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v)
        WHEN 'string' THEN v
        WHEN 'number' THEN v
        WHEN 'boolean' THEN CASE WHEN v = 'true'::jsonb THEN '1'::jsonb ELSE '0'::jsonb END
        WHEN 'null' THEN NULL
        ELSE to_jsonb(pando.compact(v)) END
$$;

CREATE OR REPLACE FUNCTION pando.list_text(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pando.compact(v) COLLATE "C"
$$;

CREATE OR REPLACE FUNCTION pando.number_text(v float8) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN v::text LIKE '%e%' AND abs(v) >= 1e-6 AND abs(v) < 1e21
        THEN (v::text::numeric)::text ELSE v::text END
$$;

CREATE OR REPLACE FUNCTION pando.point_text(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '{"lon":' || pando.number_text((v->>'lon')::float8) || ',"lat":' || pando.number_text((v->>'lat')::float8) || '}'
$$;

CREATE OR REPLACE FUNCTION pando.date_text(v timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT COALESCE(to_char(v AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS"Z"'), '')
$$;

CREATE OR REPLACE FUNCTION pando.scalar_text(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT v #>> '{}'
$$;

-- The number that a text reads as in full, else null.
CREATE OR REPLACE FUNCTION pando.text_number(v text) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN length(v) < 300 AND v ~ '^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*$' THEN
        CASE WHEN abs(v::numeric) BETWEEN 1e-300 AND 1.7e308 THEN v::float8
             WHEN abs(v::numeric) < 1e-300 THEN 0 END
    END
$$;

CREATE OR REPLACE FUNCTION pando.number_or_text(v text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(to_jsonb(pando.text_number(v)), to_jsonb(v))
$$;

CREATE OR REPLACE FUNCTION pando.number(v jsonb) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v) WHEN 'number' THEN v::float8 WHEN 'string' THEN pando.text_number(v #>> '{}') END
$$;

-- -1, 0 or 1; numbers are below texts; null when either is.
CREATE OR REPLACE FUNCTION pando.compare(a jsonb, b jsonb) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN a IS NULL OR b IS NULL THEN NULL
        WHEN jsonb_typeof(a) = 'number' AND jsonb_typeof(b) = 'number' THEN sign(a::numeric - b::numeric)::int
        WHEN jsonb_typeof(a) = 'number' THEN -1
        WHEN jsonb_typeof(b) = 'number' THEN 1
        WHEN (a #>> '{}') COLLATE "C" < (b #>> '{}') COLLATE "C" THEN -1
        WHEN (a #>> '{}') = (b #>> '{}') THEN 0
        ELSE 1 END
$$;

CREATE OR REPLACE FUNCTION pando.sort_number(v jsonb) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v) WHEN 'number' THEN v::float8 WHEN 'string' THEN 'NaN'::float8 END
$$;

CREATE OR REPLACE FUNCTION pando.sort_text(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v) WHEN 'string' THEN v #>> '{}' END
$$;

-- A text that is JSON as JSON, else null.
CREATE OR REPLACE FUNCTION pando.to_json(v text) RETURNS json LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF v IS NULL OR v !~ '^\s*[\[{"0-9tfn-]' THEN RETURN NULL; END IF;
    RETURN v::json;
EXCEPTION WHEN OTHERS THEN RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION pando.length(v json) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE json_typeof(v) WHEN 'array' THEN json_array_length(v) ELSE 0 END::float8
$$;

CREATE OR REPLACE FUNCTION pando.length(v jsonb) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(v) WHEN 'array' THEN jsonb_array_length(v) ELSE 0 END::float8
$$;

CREATE OR REPLACE FUNCTION pando.each(v json) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE json_typeof(e) WHEN 'string' THEN e #>> '{}' ELSE e::text END
    FROM json_array_elements(CASE json_typeof(v) WHEN 'array' THEN v ELSE json_build_array(v) END) AS x(e)
    WHERE v IS NOT NULL AND json_typeof(v) <> 'null' AND v::text <> '""'
$$;

CREATE OR REPLACE FUNCTION pando.each(v jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(e) WHEN 'string' THEN e #>> '{}' ELSE pando.compact(e) END
    FROM jsonb_array_elements(CASE jsonb_typeof(v) WHEN 'array' THEN v ELSE jsonb_build_array(v) END) AS x(e)
    WHERE v IS NOT NULL AND jsonb_typeof(v) <> 'null' AND v <> '""'
$$;

CREATE OR REPLACE FUNCTION pando.each(v text) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT e FROM pando.each(CASE json_typeof(pando.to_json(v)) WHEN 'array' THEN pando.to_json(v) ELSE to_json(v) END) AS x(e)
$$;

-- The pattern of LIKE: a text without an unescaped % stands for itself anywhere.
CREATE OR REPLACE FUNCTION pando.pattern(v text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN regexp_replace(v, '\\.', '', 'g') LIKE '%\%%' THEN
        CASE WHEN length(substring(v from '\\*$')) % 2 = 1 THEN v || '\' ELSE v END
        ELSE '%' || replace(replace(replace(v, '\', '\\'), '%', '\%'), '_', '\_') || '%' END
$$;

CREATE OR REPLACE FUNCTION pando.geo_distance(lon_a float8, lat_a float8, lon_b float8, lat_b float8)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 2 * 6371 * asin(least(1, sqrt(
        power(sin(radians(lat_b - lat_a) / 2), 2)
        + cos(radians(lat_a)) * cos(radians(lat_b)) * power(sin(radians(lon_b - lon_a) / 2), 2))))
$$;

-- Fails the transaction when a guard of the batch does not hold, and says which.
CREATE OR REPLACE FUNCTION pando.guard(holds boolean, index float8) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF holds THEN RETURN TRUE; END IF;
    RAISE EXCEPTION USING ERRCODE = 'PD001', MESSAGE = index::int::text;
END $$;

-- Conversions for columns that change their type.
CREATE OR REPLACE FUNCTION pando.text_date(v text) RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    IF v IS NULL OR v !~ '^\d{4}-\d{2}-\d{2}' THEN RETURN NULL; END IF;
    RETURN v::timestamptz;
EXCEPTION WHEN OTHERS THEN RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION pando.last_text(v jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT COALESCE(CASE jsonb_typeof(v) WHEN 'array' THEN v->>-1 WHEN 'null' THEN '' WHEN 'string' THEN v #>> '{}'
        ELSE pando.compact(v) END, '')
$$;

CREATE OR REPLACE FUNCTION pando.text_list(v text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN COALESCE(v, '') = '' THEN '[]'::jsonb
        WHEN json_typeof(pando.to_json(v)) = 'array' THEN v::jsonb
        ELSE jsonb_build_array(v) END
$$;

CREATE OR REPLACE FUNCTION pando.text_point(v text) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN json_typeof(pando.to_json(v)->'lon') = 'number' AND json_typeof(pando.to_json(v)->'lat') = 'number'
        THEN v::jsonb ELSE '{"lon":0,"lat":0}'::jsonb END
$$;

CREATE OR REPLACE FUNCTION pando.group_concat_step(state text, v text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN v IS NULL THEN state WHEN state IS NULL THEN v ELSE state || ',' || v END
$$;

CREATE OR REPLACE AGGREGATE pando.group_concat(text) (SFUNC = pando.group_concat_step, STYPE = text);

-- SQLite's strftime over the usual modifiers; null for what is no date and for modifiers it does not know.
CREATE OR REPLACE FUNCTION pando.strftime(format text, v text, modifiers text[]) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    t timestamp;
    m text;
    part text[];
    n numeric;
    out text := '';
    c text;
    i int := 1;
BEGIN
    IF v = 'now' THEN
        t := now() AT TIME ZONE 'UTC';
    ELSIF v ~ '^\d{4}-\d{2}-\d{2}' THEN
        t := v::timestamptz AT TIME ZONE 'UTC';
    ELSIF pando.text_number(v) IS NOT NULL AND 'unixepoch' = ANY(modifiers) THEN
        t := to_timestamp(pando.text_number(v)) AT TIME ZONE 'UTC';
    ELSIF pando.text_number(v) IS NOT NULL THEN
        t := to_timestamp((pando.text_number(v) - 2440587.5) * 86400) AT TIME ZONE 'UTC';
    ELSE
        RETURN NULL;
    END IF;
    FOREACH m IN ARRAY modifiers LOOP
        m := lower(trim(m));
        part := regexp_match(m, '^([+-]?\d+(?:\.\d+)?) +(second|minute|hour|day|month|year)s?$');
        IF part IS NOT NULL THEN
            n := part[1]::numeric;
            IF part[2] IN ('month', 'year') THEN
                -- Days that the month has not run over into the next one.
                t := date_trunc('month', t) + make_interval(months => (CASE part[2] WHEN 'year' THEN 12 ELSE 1 END * trunc(n))::int)
                    + (t - date_trunc('month', t));
            ELSE
                t := t + (n || ' ' || part[2])::interval;
            END IF;
        ELSIF m LIKE 'start of %' AND substr(m, 10) IN ('day', 'month', 'year') THEN
            t := date_trunc(substr(m, 10), t);
        ELSIF m ~ '^weekday [0-6]$' THEN
            t := t + make_interval(days => (7 + right(m, 1)::int - extract(dow FROM t)::int) % 7);
        ELSIF m NOT IN ('unixepoch', 'auto', 'utc', 'localtime', 'subsec', 'subsecond', 'julianday') THEN
            RETURN NULL;
        END IF;
    END LOOP;
    WHILE i <= length(format) LOOP
        c := substr(format, i, 1);
        IF c = '%' THEN
            i := i + 1;
            c := substr(format, i, 1);
            out := out || CASE c
                WHEN 'd' THEN to_char(t, 'DD') WHEN 'e' THEN lpad(to_char(t, 'FMDD'), 2)
                WHEN 'f' THEN to_char(t, 'SS.MS') WHEN 'F' THEN to_char(t, 'YYYY-MM-DD')
                WHEN 'G' THEN to_char(t, 'IYYY') WHEN 'g' THEN to_char(t, 'IY')
                WHEN 'H' THEN to_char(t, 'HH24') WHEN 'I' THEN to_char(t, 'HH12')
                WHEN 'j' THEN to_char(t, 'DDD') WHEN 'J' THEN (extract(epoch FROM t) / 86400 + 2440587.5)::float8::text
                WHEN 'k' THEN lpad(to_char(t, 'FMHH24'), 2) WHEN 'l' THEN lpad(to_char(t, 'FMHH12'), 2)
                WHEN 'm' THEN to_char(t, 'MM') WHEN 'M' THEN to_char(t, 'MI')
                WHEN 'p' THEN to_char(t, 'AM') WHEN 'P' THEN to_char(t, 'am')
                WHEN 'R' THEN to_char(t, 'HH24:MI') WHEN 's' THEN floor(extract(epoch FROM t))::bigint::text
                WHEN 'S' THEN to_char(t, 'SS') WHEN 'T' THEN to_char(t, 'HH24:MI:SS')
                WHEN 'u' THEN to_char(t, 'ID') WHEN 'V' THEN to_char(t, 'IW')
                WHEN 'U' THEN lpad(((extract(doy FROM t)::int + 6 - extract(dow FROM t)::int) / 7)::text, 2, '0')
                WHEN 'w' THEN extract(dow FROM t)::int::text
                WHEN 'W' THEN lpad(((extract(doy FROM t)::int + 6 - (extract(dow FROM t)::int + 6) % 7) / 7)::text, 2, '0')
                WHEN 'Y' THEN to_char(t, 'YYYY') WHEN '%' THEN '%' END;
        ELSE
            out := out || c;
        END IF;
        i := i + 1;
    END LOOP;
    RETURN out;
EXCEPTION WHEN OTHERS THEN RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION pando.strftime_of(format text, v anyelement) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT pando.strftime(format, CASE WHEN pg_typeof(v) = 'timestamptz'::regtype
        THEN pando.date_text(v::text::timestamptz) ELSE v::text END, ARRAY[]::text[])
$$;
