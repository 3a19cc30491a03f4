# SPDX-License-Identifier: MIT
# Completion of rondo-get for bash.
_rondo_get() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    case $before in
        -i | --input | -o | --output | --cacert | --netrc-file)
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            compopt -o filenames
            return
            ;;
        -d | --dir)
            mapfile -t COMPREPLY < <(compgen -d -- "$word")
            compopt -o filenames
            return
            ;;
        -j | --jobs | --per-host | -s | --split | -l | --limit-rate | -t | --timeout | --low-speed | \
            -r | --retries | --max-filesize | --sha256 | -H | --header | -A | --user-agent | -u | \
            --user | -x | --proxy)
            return
            ;;
    esac
    case $word in
        -*)
            mapfile -t COMPREPLY < <(compgen -W "
                --input --dir --output --content-disposition --overwrite --rename --sha256
                --timestamps --continue --no-continue --no-sync --json --quiet --verbose
                --no-progress --help --version --jobs --per-host --split --limit-rate --timeout
                --low-speed --retries --max-filesize --http1.1 --http2 --header --user-agent --user
                --netrc --netrc-file --proxy --cacert --insecure" -- "$word")
            ;;
        *) mapfile -t COMPREPLY < <(compgen -W "https:// http://" -- "$word") ;;
    esac
}
complete -F _rondo_get rondo-get
