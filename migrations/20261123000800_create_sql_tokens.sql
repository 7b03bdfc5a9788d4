-- The tokens of a query, by the rules of PostgreSQL's own lexer (src/backend/parser/scan.l), for the shape of a query.
--
-- Marks stand in the text for what must not be read again. No query has these characters, because they are replaced by
-- spaces first.
--
--     \x01 a literal          \x04 a dollar-quoted string      \x07 a space that stays
--     \x02 a quoted name      \x05 a comma inside of a type    \x08 ::
--     \x03 a number           \x06 ..                          \x0e to \x13 a list of one literal, \x14 a lone $
--     \x15 [] of the type of a cast
--
-- The collation "C" makes the result the same in every database. A pattern with a backslash is an E string, because
-- standard_conforming_strings may be off. In a pattern, [[:cntrl:] -#%-/:-@[-^`{-~] is a character that cannot be in a
-- name; names can have all characters outside of ASCII.

set local lock_timeout = '5s';

create or replace function chat_rollups.hide_literals(query text, out code text, out quoted_names text[])
language plpgsql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    is_name constant text := '(^|[[:cntrl:] -#%-/:-@[-^`{-~])[^[:cntrl:] -@[-^`{-~][^[:cntrl:] -#%-/:-@[-^`{-~]*$';
    -- What can be before a prefix: nothing, what cannot be in a name, or a number or a dollar sign that goes on in letters.
    no_name constant text := '(?:^|[[:cntrl:] -#%-/:-@[-^`{-~])(?:[0-9$][^[:cntrl:] -#%-/:-@[-^`{-~]*)?';
    is_tag constant text := '^[^[:cntrl:] -@[-^`{-~][^[:cntrl:] -/:-@[-^`{-~]*$';
    longest_name constant integer := 200;
    region text collate "C" := 'code';
    piece text collate "C";
    code_pieces text[] := '{}';
    name_pieces text[] := '{}';
    before text collate "C" := ''; -- the code directly before the piece
    gap text collate "C";          -- the white space since the last string, or null if there was anything else
    prefix text collate "C" := ''; -- the letter before the quote of the last string
    is_escaped boolean := false;   -- the piece follows a backslash
    is_unicode boolean;            -- the last quoted name has the prefix u&
    depth integer := 0;            -- of nested comments
    last_piece text collate "C";
    opening text collate "C";      -- of a dollar-quoted string, as far as it was read
    closing text collate "C";
begin
    -- Each character at which a region can begin or end is a piece, and all others between them are one. So the time
    -- grows with the length of the text only.
    foreach piece in array array(
        select matches.groups[1]
        from pg_catalog.regexp_matches(query collate "C", E'[^''"$/*\\\\-]+|--|/[*]|.', 'g') as matches (groups)
    ) loop
        -- The piece decides whether the region before it has ended.
        if region = 'end of name' then
            if piece = '"' then
                name_pieces := name_pieces || piece::text;
                region := 'name';
                continue;
            end if;
            name_pieces := name_pieces || E'\x02'::text;
            region := 'code';
        elsif region = 'tag' then
            if piece = '$' then
                closing := opening || piece;
                last_piece := null;
                code_pieces := code_pieces || E' \x04 '::text;
                region := 'dollar quotes';
                continue;
            elsif opening = '$' and piece ~ is_tag then
                opening := opening || piece;
                continue;
            end if;
            code_pieces := code_pieces || opening::text;
            before := before || opening;
            region := 'code';
        end if;

        if region = 'code' then
            if piece = '''' then
                -- Directly after a string: a quote in it. After a new line: the string goes on.
                if gap is null or (gap !~ E'[\n\r]' and (gap <> '' or prefix in ('b', 'x'))) then
                    prefix := coalesce(pg_catalog.lower(substring(before from no_name || '([bBeExX])$')), '');
                    code_pieces := code_pieces || E'\x01'::text;
                end if;
                is_escaped := false;
                region := 'string';
            elsif piece = '"' then
                is_unicode := before ~ (no_name || '[uU]&$');
                name_pieces := name_pieces || case when is_unicode then 'u&"' else '"' end;
                code_pieces := code_pieces || E'\x02'::text;
                region := 'name';
            elsif piece = '$' and before !~ is_name then
                opening := piece;
                region := 'tag';
            elsif piece = '--' then
                region := 'line comment';
            elsif piece = '/*' then
                depth := 1;
                last_piece := null;
                region := 'comment';
            else
                code_pieces := code_pieces || piece::text;
                gap := case when piece !~ '[^[:space:]]' then gap || piece end;
                before := pg_catalog.right(before || piece, longest_name);
                continue;
            end if;
            if region not in ('string', 'line comment') then
                gap := null;
            end if;
            before := '';
        elsif region = 'string' then
            if is_escaped then
                is_escaped := false;
            elsif piece = '''' then
                gap := '';
                region := 'code';
            else
                is_escaped := prefix = 'e' and piece = E'\\';
            end if;
        elsif region = 'name' then
            name_pieces := name_pieces || piece::text;
            if piece = '"' then
                region := 'end of name';
            end if;
        elsif region = 'line comment' then
            piece := substring(piece from E'[\n\r].*');
            if piece is not null then
                code_pieces := code_pieces || piece::text;
                gap := case when piece !~ '[^[:space:]]' then gap || piece end;
                before := pg_catalog.right(piece, longest_name);
                region := 'code';
            end if;
        elsif region = 'comment' then
            -- The slash that ends a comment can be the first half of the piece /*.
            if last_piece = '*' and piece in ('/', '/*') then
                depth := depth - 1;
                piece := pg_catalog.substr(piece, 2);
                if depth = 0 then
                    code_pieces := code_pieces || (' ' || piece)::text;
                    region := 'code';
                end if;
            elsif piece = '/*' then
                depth := depth + 1;
                piece := null;
            end if;
            last_piece := piece;
        elsif piece <> '$' then
            last_piece := case when last_piece = '$' then last_piece || piece end;
        elsif last_piece || piece = closing then
            region := 'code';
        else
            last_piece := piece;
        end if;
    end loop;

    quoted_names := pg_catalog.string_to_array(pg_catalog.array_to_string(name_pieces, ''), E'\x02');
    if region = 'tag' then
        code_pieces := code_pieces || opening::text;
    elsif region = 'name' then
        -- A name that does not end may be a literal of another dialect. Of the letters before it only u& is a prefix.
        code_pieces[pg_catalog.cardinality(code_pieces)] := case when is_unicode then '' else ' ' end || E'\x01';
        quoted_names[pg_catalog.cardinality(quoted_names)] := '';
    end if;
    code := pg_catalog.lower(pg_catalog.array_to_string(code_pieces, '') collate "C");
end
$$;

comment on function chat_rollups.hide_literals is
'The query in lower case without comments, with a mark in place of each string and each quoted name; and the quoted names.';

create or replace function chat_rollups.split_tokens(code text)
returns text
language plpgsql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
    before constant text := '(^|[[:cntrl:] -#%-/:-@[-^`{-~])'; -- what can be before a token that is no name
    exponent constant text := '(?:e[-+]?[0-9](?:_?[0-9])*)?';
    fraction constant text := '[.][0-9](?:_?[0-9])*' || exponent;
    number constant text := '(?:0x(?:_?[0-9a-f])+|0o(?:_?[0-7])+|0b(?:_?[01])+'
        || '|[0-9](?:_?[0-9])*(?:[.](?:[0-9](?:_?[0-9])*)?)?' || exponent || ')';
    -- PostgreSQL rejects digits directly after a number, but they must not stay in the text.
    digits constant text := '(?:[0-9]|' || fraction || ')*';
    tokens text collate "C" := code;
begin
    tokens := pg_catalog.replace(pg_catalog.replace(tokens, '..', E'\x06'), '::', E'\x08');
    tokens := pg_catalog.regexp_replace(
        tokens,
        fraction || digits || '|(^|[[:cntrl:] -#%--/:-@[-^`{-~])' || number || digits, E'\\1 \x03 ', 'g'
    );
    if pg_catalog.strpos(tokens, '$') > 0 then
        tokens := pg_catalog.regexp_replace(tokens, before || '(?:[$][0-9]+)+', E'\\1 \x01 ', 'g');
        tokens := pg_catalog.regexp_replace(tokens, before || '[$]', E'\\1 \x14 ', 'g');
    end if;
    -- The letter before a quote belongs to the literal.
    tokens := pg_catalog.regexp_replace(
        tokens, before || E'(?:[bexn](?=\x01)|u&(?=[\x01\x02]))', E'\\1', 'g'
    );
    tokens := pg_catalog.regexp_replace(
        tokens, E':=|[-+*/<>=~!@#%^&|`?]+|[][(),;.:{}\x01-\x08\\\\]', E' \\& ', 'g'
    );
    tokens := ' ' || pg_catalog.btrim(pg_catalog.regexp_replace(tokens, '[[:space:]]+', ' ', 'g'), ' ;') || ' ';

    -- An operator ends with a sign only if it has one of ~ ! @ # % ^ & | ` ?
    if tokens ~ ' [-+*/<>=]+[-+] ' then
        select
            pg_catalog.string_agg(
                case
                    when token ~ '^[-+*/<>=]+[-+]$' then pg_catalog.ltrim(
                        pg_catalog.rtrim(token, '+-') || pg_catalog.regexp_replace(
                            pg_catalog.substr(token, 1 + pg_catalog.length(pg_catalog.rtrim(token, '+-'))),
                            '.', E' \\&', 'g'
                        )
                    )
                    else token
                end,
                ' ' order by place
            )
        into tokens
        from pg_catalog.string_to_table(tokens, ' ') with ordinality as list (token, place);
    end if;
    return tokens;
end
$$;

comment on function chat_rollups.split_tokens is
'The tokens of a query whose literals are hidden, each with one space before and after it, and without semicolons at the ends.';

call chat_rollups.make_private(
    'function chat_rollups.hide_literals', 'function chat_rollups.split_tokens'
);

grant execute on function
chat_rollups.hide_literals,
chat_rollups.split_tokens
to telemetry_transformer;
